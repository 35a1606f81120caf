/* The programs that fail in the lab's containers. One source, a program for each -D. They do what GPU programs do
   and print what those print; the failures themselves are the kernel's, the loader's and the engine's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined CUDART /* linked against the real libcudart.so.12 of the nvidia-cuda-runtime-cu12 wheel */
extern int cudaGetDeviceCount(int *);
extern const char *cudaGetErrorString(int), *cudaGetErrorName(int);
int main(void) {
  int count = 0, error = cudaGetDeviceCount(&count);
  if (error) fprintf(stderr, "%s (%d): %s\n", cudaGetErrorName(error), error, cudaGetErrorString(error));
  return error != 0;
}
#elif defined DRIVER /* linked against libcuda.so.1, as nvcc -lcuda does */
extern int cuInit(unsigned);
int main(void) { return cuInit(0); }
#elif defined GLIBC /* needs a symbol version that the image's libc does not have */
extern int lab_symbol(void);
int main(void) { return lab_symbol(); }
#elif defined KFD /* opens /dev/kfd as the ROCm runtime does, and says so in rocminfo's words */
int main(void) {
  int fd = open("/dev/kfd", O_RDWR | O_CLOEXEC);
  if (fd < 0) fprintf(stderr, "Unable to open /dev/kfd read-write: %s\n", strerror(errno));
  return fd < 0;
}
#elif defined SHM /* a data loader's worker: maps more shared memory than there is, and fills it */
int main(void) {
  size_t size = 128u << 20;
  int fd = open("/dev/shm/torch_lab", O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, size)) return 1;
  memset(mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 1, size);
  return 0;
}
#elif defined MEMORY /* takes memory until it is killed */
int main(void) {
  for (size_t got = 0; got < (1u << 30); got += 1u << 20) memset(malloc(1u << 20), 1, 1u << 20);
  return 0;
}
#elif defined DIVERGED /* fails for a reason of its own, which no entry knows */
int main(void) { return fprintf(stderr, "SolverError: the solution diverged at step 17\n") > 0; }
#elif defined DISK /* writes a checkpoint until the disk is full */
int main(void) {
  static char block[1 << 20];
  FILE *file = fopen("/data/checkpoint.pt", "w");
  for (int n = 0; file && n < 64; n++)
    if (fwrite(block, 1, sizeof block, file) < sizeof block || fflush(file)) {
      fprintf(stderr, "OSError: [Errno %d] %s: '/data/checkpoint.pt'\n", errno, strerror(errno));
      return 1;
    }
  return 0;
}
#endif
