/* A libnvidia-ml.so.1 for tests: the real binding loads it and asks it in the real child process.
 *
 * Names and layouts: https://docs.nvidia.com/deploy/nvml-api/ (nvml.h). What it answers is set when it is built:
 * INIT (result of nvmlInit), HANG_INIT, HANG_GPU (index of a GPU that never answers), LOST_GPU (index of a lost one).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef INIT
#define INIT 0
#endif
#ifndef HANG_GPU
#define HANG_GPU -1
#endif
#ifndef LOST_GPU
#define LOST_GPU -1
#endif
#define LOST 15

typedef struct { int index; } device;
static device devices[2] = {{0}, {1}};

static void hang(void) { for (;;) pause(); }

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
#ifdef HANG_INIT
    hang();
#endif
    return INIT;
}

const char *nvmlErrorString(int code) {
    switch (code) {
    case 4: return "Insufficient Permissions";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "570.133.20"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12080; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
    if ((int)index == HANG_GPU) hang();
    if ((int)index == LOST_GPU) return LOST;
    *handle = &devices[index];
    return 0;
}
int nvmlDeviceGetName(device *one, char *text, unsigned length) { (void)one; snprintf(text, length, "NVIDIA H100 80GB HBM3"); return 0; }
int nvmlDeviceGetUUID(device *one, char *text, unsigned length) { snprintf(text, length, "GPU-5ad7a7e5-0a4d-0c4f-8f1e-00000000000%d", one->index); return 0; }

typedef struct { char legacy[16]; unsigned domain, bus, device, ids, subsystem; char id[32]; } pci;
int nvmlDeviceGetPciInfo_v3(device *one, pci *info) {
    memset(info, 0, sizeof *info);
    snprintf(info->id, sizeof info->id, "00000000:%d7:00.0", one->index + 1);
    return 0;
}
typedef struct { unsigned long long total, available, used; } memory;
int nvmlDeviceGetMemoryInfo(device *one, memory *info) { (void)one; info->total = 80ULL << 30; info->available = 79ULL << 30; info->used = 1ULL << 30; return 0; }
int nvmlDeviceGetMinorNumber(device *one, unsigned *minor) { *minor = one->index; return 0; }
int nvmlDeviceGetCudaComputeCapability(device *one, int *major, int *minor) { (void)one; *major = 9; *minor = 0; return 0; }
int nvmlDeviceGetComputeMode(device *one, unsigned *mode) { (void)one; *mode = 3; return 0; }
int nvmlDeviceGetMigMode(device *one, unsigned *now, unsigned *pending) { *now = one->index; *pending = 1; return 0; }
int nvmlDeviceGetMaxMigDeviceCount(device *one, unsigned *count) { (void)one; *count = 7; return 0; }
int nvmlDeviceGetMigDeviceHandleByIndex(device *one, unsigned index, device **handle) { if (index) return 6; *handle = one; return 0; }
int nvmlDeviceGetRemappedRows(device *one, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    (void)one; *corrected = 1; *uncorrected = 2; *pending = 1; *failed = 0; return 0;
}
int nvmlDeviceGetTotalEccErrors(device *one, unsigned type, unsigned counter, unsigned long long *count) {
    (void)one; (void)type; (void)counter; *count = 5; return 0;
}
typedef struct { unsigned char uuid[16]; int status; unsigned clique, state; } fabric;
int nvmlDeviceGetGpuFabricInfo(device *one, fabric *info) { (void)one; memset(info, 0, sizeof *info); info->state = 3; return 0; }
/* Not supported by this GPU: an answer too. Everything else is absent, as in an older driver. */
int nvmlDeviceGetEccMode(device *one, unsigned *now, unsigned *pending) { (void)one; (void)now; (void)pending; return 3; }
