"""How to write an entry: one Markdown file a fault, named by the fault id. Writing the file is writing its test.

    +++
    title     = "The program has no GPU code for {device|this GPU}"   # what is wrong, as a sentence
    area      = "cuda"             # nvidia, cuda, lib, framework, amd, kubernetes, container
    severity  = "blocking"         # blocking (error) | degraded (warning) | notice (note)
    yields_to = ["other-fault"]    # steps back when that one is found too: it is only this one's noise
    explains  = ["other-fault"]    # those are consequences of this one, shown folded under it
    corrects  = ["request-nvidia-gpus"]   # changes to the container's own docker run line (doctor/runline.py)
    codes     = ["cudaError:209"]  # error codes that end here, group:number of doctor/data/error_codes.json
    words     = ["blackwell"]      # what people search for that stands nowhere else on the page
    reviewed  = 2026-11-24

    [[match]]                      # any number; an entry that only a check finds has none
    line   = '''(?P<device>\\S.{2,80}?) with CUDA capability (?P<arch>sm_\\d+) is not compatible'''
    not    = '''…'''               # the same line must not match this
    near   = '''…'''               # a line within `within` (20) lines must match this
    unless = '''…'''               # no line anywhere in the log may match this
    sure   = "certain"             # certain | likely | possible: how much this evidence shows, not how bad it is
    severity = "notice"            # only where this message is less, or more, than the entry's severity
    values = { library = "libcuda.so.1" }   # what the message implies without saying it
    +++

    First paragraph: what is wrong and why we think so, alone on its feet. Further paragraphs: how it comes about.

    ## Cause: a title               (optional; where one message has several causes, the likeliest first)
    check: nvidia_uvm_ready        (optional, a line of its own: what decides whether it is this one)

    Why, in a sentence; a fence with the command that tells whether it is this one.

    ## Fix: a title                 (one or more, the likeliest first)
    where: host · risk: safe · engine: docker · distro: debian,ubuntu

    A fence with the commands. `Verify:` before a fence: how to see that it worked. `Undo:` before a fence.

    ## Ask                          (optional: fences with the commands whose output would settle it)
    ## Sources
    - https://address : what it supports
    ## Examples
    A fence ```log match name=value name="two words" ```: the program's own message, in the shortest form that shows
    the fault. A fence ```log near-miss other-fault ``` or ```log near-miss none ```: a text that looks like it.

Patterns are RE2 (no look-around, no back-references), case-sensitive unless `(?i)`, searched in one line that has
lost its colours, timestamps and service prefixes, whose quotes are plain ASCII ones and whose HTML entities are
resolved. Each must contain a literal text of at least four characters; longer is better. A matcher states what
makes the fault certain, as the program prints it; it does not memorise a log. What many patterns share stands in
shared.toml, and (?&name) calls it.

In titles, prose and commands `{name|fallback}` is filled with a value; without a fallback an unknown value leaves
the blank `<name>`. `<like this>` is for the reader to fill; in prose it may stand only in `code`.

Names of values: library (a SONAME; library_stem, soname_major and, of all that the lines name, apt_packages,
pip_packages, rpm_names, sonames and also_missing follow from it), needed_by (file), symbol, node (version node),
device (product name), arch (the device's sm_120 or gfx1100; compute_capability, toolkits and toolkit_image, or
override, follow), target (what the code was built for), supported, driver, kernel_driver, cuda, cuda_driver
(cuda_offered and torch_index follow), required, rocm, glibc, torch, package, container, image, service, path (loaded
follows), folder, code, xid, pci, index, count, size, free, process, pid, command, module, kernel, reason, framework
(framework_name, gpu_build, older_build and gpu_check follow).

Beside them a finding has seems_engine, seems_system, seems_distro, seems_vendor, seems_cluster, seems_stage and
seems_framework where the log shows signs of them: they only put the fixes in order.

where: host, container, dockerfile, compose, cluster. risk: safe, restart, reboot, destructive.
Circumstances on a fix or a cause that holds only there: engine: docker, podman, containerd, cri-o, apptainer, enroot;
system: linux (also WSL, and where nothing tells), windows; distro: debian, ubuntu, rhel, fedora, suse, arch, nixos;
vendor: nvidia, amd; cluster: kubernetes; stage: build (of an image), run; gpu: newer, older, other (than all that the
program has code for);
copy: absent, elsewhere (of a library, in the image);
loaded: conda's, the system's (whose copy of a library was loaded); memory: in pieces, with this program, with other
processes and others that a matcher names (where the missing memory is, by the program's account); relative: known, not
known (a GPU whose code a gfx target can load by HSA_OVERRIDE_GFX_VERSION); symbol: torch, a CUDA library (whose
function is undefined); framework: torch, tensorflow, jax, paddle, cupy, mxnet, onnxruntime, llama.cpp, torchsharp and
others that a matcher names;
said: words of the entry's own, without a comma, that
its matchers state in values = { said = "no permission" }, where the message decides between the causes;
only said: the same, of what is out of the question where there is a message and none states it.
Facts on a fix or a cause: `check: one, two` names the checks (checks/) that find it: likely where one of them found
something, ruled out where all passed. `shown by: one` is for a state that may have been another when the program
failed: found speaks for it, passed says nothing. Likely comes first in the report, ruled out last, with what was seen.
"""
