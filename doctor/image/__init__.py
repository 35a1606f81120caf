"""What is in a container image and where it runs, from its layers as they lie.

Nothing of an image is executed, pulled, written or unpacked to disk. Every source of layers (the engine's folders, an
archive, a layout, an unpacked root) becomes the same thing: a `layers.Layer` each, merged by `layers.LayeredTree`.
"""
