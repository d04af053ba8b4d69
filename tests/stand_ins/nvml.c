/* A libnvidia-ml.so.1 with the calls that the source `nvml` makes, for two GPUs whose readings never change.
 *
 * NVML_STAND_IN says what they can: "energy" (Volta and later), "instant" (power field 186), "mean" (power usage only),
 * "jetson" (starts and has no power). While the file NVML_STAND_IN_LOST names exists, they are lost. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };
enum { POWER_INSTANT = 186, VALUE_UNSIGNED_INT = 1 };

typedef union { double d; int si; unsigned int ui; unsigned long ul; unsigned long long ull; signed long long sll; } value_t;
typedef struct {
    unsigned int fieldId, scopeId;
    long long timestamp, latencyUsec;
    int valueType, nvmlReturn;
    value_t value;
} field_t;

static int gpus[2] = {0, 1};

static int can(const char *what) { return strcmp(getenv("NVML_STAND_IN"), what) == 0; }

static int lost(void) {
    const char *path = getenv("NVML_STAND_IN_LOST");
    return path && access(path, F_OK) == 0;
}

int nvmlInitWithFlags(unsigned int flags) { return flags ? INVALID_ARGUMENT : SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int result) { return result == GPU_IS_LOST ? "GPU is lost" : "Not Supported"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = can("jetson") ? 1 : 2;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = &gpus[index];
    return index < 2 ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length) {
    strncpy(name, can("jetson") ? "Orin (nvgpu)" : *(int *)device ? "NVIDIA H100 PCIe" : "NVIDIA L4", length);
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length) {
    strncpy(uuid, *(int *)device ? "GPU-5e1f" : "GPU-0a2b", length);
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy_mJ) {
    if (lost()) return GPU_IS_LOST;
    if (!can("energy")) return NOT_SUPPORTED;
    *energy_mJ = *(int *)device ? 98765432109876ULL : 1234567ULL; /* the second needs more than 32 bits */
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(void *device, int count, field_t *fields) {
    for (int i = 0; i < count; i++) {
        int known = fields[i].fieldId == POWER_INSTANT && fields[i].scopeId == 0 && can("instant");
        fields[i].nvmlReturn = known ? SUCCESS : NOT_SUPPORTED;
        fields[i].valueType = VALUE_UNSIGNED_INT;
        fields[i].value.ui = *(int *)device ? 345678 : 71234;
    }
    return lost() ? GPU_IS_LOST : SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *power_mW) {
    if (lost()) return GPU_IS_LOST;
    if (!can("mean")) return NOT_SUPPORTED;
    *power_mW = *(int *)device ? 300000 : 65000;
    return SUCCESS;
}
