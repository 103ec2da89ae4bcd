/*
 * A stub of the CUDA driver, for machines without a GPU: a test tool that computes nothing.
 *
 * Device memory is address space of this process. Copies copy. Launches are counted and not run, so every result is zero
 * or whatever was copied. It shows that the programs compile and launch their kernels, how often they do it, how often they
 * wait for the device, and what they copy. It shows no number and no time.
 *
 *   mkdir -p STUB && gcc -O1 -shared -fPIC -o STUB/libcuda.so.1 cuda.c && ln -sf libcuda.so.1 STUB/libcuda.so
 *   LD_LIBRARY_PATH=STUB CUDA_PATH=TOOLKIT ffsvc-train ... --device cuda:0
 *
 * Environment:
 *   FFSVC_STUB_REPORT=FILE       at exit, the counts: lines "NAME NUMBER", then "kernel NUMBER NAME"
 *   FFSVC_STUB_PTX=FOLDER        every module, in FOLDER/000000.ptx and so on
 *   FFSVC_STUB_CAPABILITY=9.0    the compute capability that the devices claim: 9.0 is H100's, 8.0 A100's
 *   FFSVC_STUB_DEVICES=1         how many devices there are
 *   FFSVC_STUB_MEMORY_GIB=80     the memory of each
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int Result;
typedef unsigned long long DevicePointer;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NOT_SUPPORTED = 801 };

/* ---- What is counted ---- */

static atomic_long modules, launches, host_functions;
static atomic_long stream_waits, event_waits, event_polls, context_waits;
static atomic_long to_device, to_device_bytes, to_host, to_host_bytes, on_device, on_device_bytes, memsets;
static atomic_long allocations, device_bytes, device_peak_bytes, pinned_bytes, pinned_peak_bytes;

/* A function of a module. The handle that the program gets points here. */
struct function {
    struct function *next;
    atomic_long launches;
    char name[];
};
static _Atomic(struct function *) functions;

static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static void report(void) {
    const char *path = getenv("FFSVC_STUB_REPORT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
#define LINE(count) fprintf(file, #count " %ld\n", (long)count)
    LINE(modules);
    LINE(launches);
    LINE(host_functions);
    LINE(stream_waits);
    LINE(event_waits);
    LINE(event_polls);
    LINE(context_waits);
    LINE(to_device);
    LINE(to_device_bytes);
    LINE(to_host);
    LINE(to_host_bytes);
    LINE(on_device);
    LINE(on_device_bytes);
    LINE(memsets);
    LINE(allocations);
    LINE(device_peak_bytes);
    LINE(pinned_peak_bytes);
#undef LINE
    for (struct function *function = functions; function; function = function->next)
        if (function->launches) fprintf(file, "kernel %ld %s\n", (long)function->launches, function->name);
    fclose(file);
}

static void *handle(void) {
    static atomic_long next = 1;
    return (void *)(uintptr_t)(0x100000 + 16 * atomic_fetch_add(&next, 1));
}

/* ---- Devices and contexts ---- */

Result cuInit(unsigned flags) {
    static atomic_int begun;
    if (!atomic_exchange(&begun, 1)) atexit(report);
    return SUCCESS;
}
Result cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
Result cuDeviceGetCount(int *count) { *count = setting("FFSVC_STUB_DEVICES", 1); return SUCCESS; }
Result cuDeviceGet(int *device, int ordinal) { *device = ordinal; return SUCCESS; }
Result cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, size, "stub of a driver, no GPU");
    return SUCCESS;
}
Result cuDeviceGetPCIBusId(char *name, int size, int device) {
    snprintf(name, size, "0000:%02x:00.0", device + 1);
    return SUCCESS;
}
Result cuDeviceGetUuid(void *uuid, int device) { memset(uuid, device + 1, 16); return SUCCESS; }
Result cuDeviceGetUuid_v2(void *uuid, int device) { return cuDeviceGetUuid(uuid, device); }
Result cuDeviceGetLuid(char *luid, unsigned *mask, int device) { return NOT_SUPPORTED; }
Result cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)setting("FFSVC_STUB_MEMORY_GIB", 80) << 30;
    return SUCCESS;
}
Result cuMemGetInfo_v2(size_t *available, size_t *total) {
    cuDeviceTotalMem_v2(total, 0);
    *available = *total - device_bytes;
    return SUCCESS;
}

/* The numbers of the attributes are CUdevice_attribute's; the values are an H100's. */
Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    const char *capability = getenv("FFSVC_STUB_CAPABILITY");
    if (!capability) capability = "9.0";
    switch (attribute) {
        case 1: *value = 1024; break;           /* threads of a block */
        case 2: case 3: *value = 1024; break;   /* of a block, x and y */
        case 4: *value = 64; break;             /* of a block, z */
        case 5: *value = 2147483647; break;     /* blocks of a grid, x */
        case 6: case 7: *value = 65535; break;  /* of a grid, y and z */
        case 8: *value = 49152; break;          /* shared memory of a block */
        case 10: *value = 32; break;            /* warp */
        case 16: *value = 132; break;           /* multiprocessors */
        case 75: *value = capability[0] - '0'; break;
        case 76: *value = capability[2] - '0'; break;
        case 81: *value = capability[0] == '9' ? 233472 : 167936; break; /* shared memory of a multiprocessor */
        case 97: *value = capability[0] == '9' ? 232448 : 166912; break; /* of a block, if asked for */
        default: *value = 1;
    }
    return SUCCESS;
}
Result cuDeviceCanAccessPeer(int *can, int a, int b) { *can = 0; return SUCCESS; }
Result cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = (void *)(uintptr_t)(0x1000 + device);
    return SUCCESS;
}
Result cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }

static __thread void *current;
Result cuCtxSetCurrent(void *context) { current = context; return SUCCESS; }
Result cuCtxGetCurrent(void **context) { *context = current; return SUCCESS; }
Result cuCtxGetDevice(int *device) { *device = current ? (int)((uintptr_t)current - 0x1000) : 0; return SUCCESS; }
Result cuCtxSynchronize(void) { context_waits++; return SUCCESS; }
Result cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return SUCCESS; }

/* ---- Streams and events: all work is done at once ---- */

Result cuStreamCreate(void **stream, unsigned flags) { *stream = handle(); return SUCCESS; }
Result cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) { *stream = handle(); return SUCCESS; }
Result cuStreamDestroy_v2(void *stream) { return SUCCESS; }
Result cuStreamSynchronize(void *stream) { stream_waits++; return SUCCESS; }
Result cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return SUCCESS; }
Result cuStreamIsCapturing(void *stream, int *status) { *status = 0; return SUCCESS; }
Result cuLaunchHostFunc(void *stream, void (*function)(void *), void *data) {
    host_functions++;
    function(data);
    return SUCCESS;
}
Result cuEventCreate(void **event, unsigned flags) { *event = handle(); return SUCCESS; }
Result cuEventRecord(void *event, void *stream) { return SUCCESS; }
Result cuEventQuery(void *event) { event_polls++; return SUCCESS; }
Result cuEventSynchronize(void *event) { event_waits++; return SUCCESS; }
Result cuEventDestroy_v2(void *event) { return SUCCESS; }
/* CubeCL repeats a measurement until it takes 20 ms or more. */
Result cuEventElapsedTime(float *ms, void *from, void *to) { *ms = 60.0f; return SUCCESS; }
Result cuEventElapsedTime_v2(float *ms, void *from, void *to) { return cuEventElapsedTime(ms, from, to); }

/* ---- Memory ---- */

/* Pages before an allocation hold its size. Pages that nobody writes take no memory of the machine. */
enum { PAGE = 4096 };

static void raise_peak(atomic_long *peak, long now) {
    long seen = *peak;
    while (now > seen && !atomic_compare_exchange_weak(peak, &seen, now)) {}
}

static void *allocate(size_t size, atomic_long *bytes, atomic_long *peak) {
    char *start = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return NULL;
    *(size_t *)start = size;
    raise_peak(peak, atomic_fetch_add(bytes, size) + size);
    return start + PAGE;
}

static void release(void *pointer, atomic_long *bytes) {
    if (!pointer) return;
    char *start = (char *)pointer - PAGE;
    size_t size = *(size_t *)start;
    atomic_fetch_sub(bytes, size);
    munmap(start, size + PAGE);
}

static void *address(DevicePointer pointer) { return (void *)(uintptr_t)pointer; }

Result cuMemAlloc_v2(DevicePointer *pointer, size_t size) {
    allocations++;
    void *found = allocate(size, &device_bytes, &device_peak_bytes);
    *pointer = (uintptr_t)found;
    return found ? SUCCESS : OUT_OF_MEMORY;
}
Result cuMemAllocAsync(DevicePointer *pointer, size_t size, void *stream) { return cuMemAlloc_v2(pointer, size); }
Result cuMemFree_v2(DevicePointer pointer) { release(address(pointer), &device_bytes); return SUCCESS; }
Result cuMemFreeAsync(DevicePointer pointer, void *stream) { return cuMemFree_v2(pointer); }
Result cuMemAllocHost_v2(void **pointer, size_t size) {
    *pointer = allocate(size, &pinned_bytes, &pinned_peak_bytes);
    return *pointer ? SUCCESS : OUT_OF_MEMORY;
}
Result cuMemHostAlloc(void **pointer, size_t size, unsigned flags) { return cuMemAllocHost_v2(pointer, size); }
Result cuMemFreeHost(void *pointer) { release(pointer, &pinned_bytes); return SUCCESS; }

Result cuMemsetD8Async(DevicePointer pointer, unsigned char value, size_t size, void *stream) {
    memsets++;
    memset(address(pointer), value, size);
    return SUCCESS;
}
Result cuMemcpyHtoDAsync_v2(DevicePointer to, const void *from, size_t size, void *stream) {
    to_device++;
    to_device_bytes += size;
    memcpy(address(to), from, size);
    return SUCCESS;
}
Result cuMemcpyDtoHAsync_v2(void *to, DevicePointer from, size_t size, void *stream) {
    to_host++;
    to_host_bytes += size;
    memcpy(to, address(from), size);
    return SUCCESS;
}
/* The pages of the target need not be written where launches compute nothing. */
Result cuMemcpyDtoDAsync_v2(DevicePointer to, DevicePointer from, size_t size, void *stream) {
    on_device++;
    on_device_bytes += size;
    return SUCCESS;
}

/* CUDA_MEMCPY2D_st; memory of type 1 is the host's, of type 2 the device's. */
struct memory_2d {
    size_t x, y;
    int type;
    void *host;
    DevicePointer device;
    void *array;
    size_t pitch;
};
struct copy_2d {
    struct memory_2d from, to;
    size_t width, height;
};
Result cuMemcpy2DAsync_v2(const struct copy_2d *copy, void *stream) {
    long size = copy->width * copy->height;
    if (copy->from.type == 1) { to_device++; to_device_bytes += size; }
    else if (copy->to.type == 1) { to_host++; to_host_bytes += size; }
    else { on_device++; on_device_bytes += size; return SUCCESS; }
    const char *from = copy->from.type == 1 ? copy->from.host : address(copy->from.device);
    char *to = copy->to.type == 1 ? copy->to.host : address(copy->to.device);
    for (size_t y = 0; y < copy->height; y++)
        memcpy(to + y * copy->to.pitch, from + y * copy->from.pitch, copy->width);
    return SUCCESS;
}

/* ---- Modules and launches ---- */

Result cuModuleLoadData(void **module, const void *image) {
    long number = modules++;
    const char *folder = getenv("FFSVC_STUB_PTX");
    if (folder) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%06ld.ptx", folder, number);
        FILE *file = fopen(path, "w");
        if (!file) { perror(path); exit(1); }
        fputs(image, file);
        fclose(file);
    }
    *module = handle();
    return SUCCESS;
}
Result cuModuleUnload(void *module) { return SUCCESS; }
Result cuModuleGetFunction(void **result, void *module, const char *name) {
    struct function *function = calloc(1, sizeof *function + strlen(name) + 1);
    if (!function) return OUT_OF_MEMORY;
    strcpy(function->name, name);
    function->next = functions;
    while (!atomic_compare_exchange_weak(&functions, &function->next, function)) {}
    *result = function;
    return SUCCESS;
}
Result cuFuncSetAttribute(void *function, int attribute, int value) { return SUCCESS; }
Result cuFuncGetAttribute(int *value, int attribute, void *function) { *value = 0; return SUCCESS; }
Result cuFuncSetCacheConfig(void *function, int config) { return SUCCESS; }

static Result launch(struct function *function) {
    launches++;
    function->launches++;
    return SUCCESS;
}
Result cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **arguments, void **extra) {
    return launch(function);
}
Result cuLaunchCooperativeKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                 unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **arguments) {
    return launch(function);
}
Result cuLaunchKernelEx(const void *config, void *function, void **arguments, void **extra) { return launch(function); }
Result cuTensorMapEncodeTiled(void *map, ...) { memset(map, 0, 128); return SUCCESS; }
Result cuTensorMapEncodeIm2col(void *map, ...) { memset(map, 0, 128); return SUCCESS; }
Result cuTensorMapEncodeIm2colWide(void *map, ...) { memset(map, 0, 128); return SUCCESS; }

/* ---- Errors: there are none ---- */

Result cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_OF_STUB"; return SUCCESS; }
Result cuGetErrorString(int error, const char **text) { *text = "an error of the stub driver"; return SUCCESS; }
