// From a list of arguments to a kernel: its signature as text, and the loop over the blocks.

#pragma once
#include <cstddef>
#include <utility>

extern "C" {
extern char __start_standin_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_standin_shared[] __attribute__((weak, visibility("hidden")));
}

namespace standin {

constexpr size_t GUARD = 256;
inline char* dynamic_shared;

// The NumPy dtype that an argument of this type must have; a star before it for a pointer.
template <class T> struct Name;
#define STANDIN_NAME(T, TEXT) \
    template <> struct Name<T> { static constexpr const char* text = TEXT; };
STANDIN_NAME(bool, "bool")
STANDIN_NAME(signed char, "int8")
STANDIN_NAME(unsigned char, "uint8")
STANDIN_NAME(short, "int16")
STANDIN_NAME(unsigned short, "uint16")
STANDIN_NAME(int, "int32")
STANDIN_NAME(unsigned, "uint32")
STANDIN_NAME(long, "int64")
STANDIN_NAME(unsigned long, "uint64")
STANDIN_NAME(long long, "int64")
STANDIN_NAME(unsigned long long, "uint64")
STANDIN_NAME(float, "float32")
STANDIN_NAME(double, "float64")
STANDIN_NAME(float2, "float32")
STANDIN_NAME(float4, "float32")
STANDIN_NAME(double2, "float64")
STANDIN_NAME(uint2, "uint32")
STANDIN_NAME(uint4, "uint32")
template <class T> struct Name<const T> : Name<T> {};

template <class T> struct Parameter {
    static void write(char* out) { std::strcat(out, Name<T>::text); }
};
template <class T> struct Parameter<T*> {
    static void write(char* out) { std::strcat(std::strcat(out, "*"), Name<T>::text); }
};

template <class... A> const char* signature(void (*)(A...))
{
    static char text[2000];
    *text = 0;
    ((std::strcat(text, " "), Parameter<A>::write(text)), ...);
    return text;
}

template <class... A> struct Call {
    void (*kernel)(A...);
    void** arguments;
    template <size_t... I> void operator()(std::index_sequence<I...>) const
    {
        kernel(*static_cast<A*>(arguments[I])...);
    }
};

// Null, or what went wrong. `sizes` are those of the grid and of the block.
template <class... A>
const char* launch(void (*kernel)(A...), const unsigned* sizes, size_t shared, void** arguments)
{
    Call<A...> call{kernel, arguments};
    body_argument = &call;
    body = [](void* c) { (*static_cast<Call<A...>*>(c))(std::index_sequence_for<A...>{}); };
    gridDim = {sizes[0], sizes[1], sizes[2]};
    blockDim = {sizes[3], sizes[4], sizes[5]};
    char* memory = static_cast<char*>(std::aligned_alloc(256, (shared + 2 * GUARD) / 256 * 256));
    dynamic_shared = memory;
    backwards = !backwards;
    bool well = true;
    for (unsigned z = 0; well && z < gridDim.z; ++z)
        for (unsigned y = 0; well && y < gridDim.y; ++y)
            for (unsigned x = 0; well && x < gridDim.x; ++x) {
                blockIdx = {in_order(x, gridDim.x), in_order(y, gridDim.y), in_order(z, gridDim.z)};
                // All ones are NaN: what is read before it is written shows.
                std::memset(memory, 0xff, shared + GUARD);
                if (__start_standin_shared)
                    std::memset(__start_standin_shared, 0xff,
                                __stop_standin_shared - __start_standin_shared);
                well = run_block();
                for (size_t i = 0; well && i < GUARD; ++i)
                    if (memory[shared + i] != '\xff') {
                        std::snprintf(error, sizeof error, "writes past its %zu bytes of dynamic "
                                      "shared memory", shared);
                        well = false;
                    }
            }
    std::free(memory);
    return well ? nullptr : error;
}

}  // namespace standin

#define STANDIN_EXPORT extern "C" __attribute__((visibility("default")))
#define STANDIN_KERNEL(NAME)                                                                   \
    STANDIN_EXPORT const char* standin_signature_##NAME() { return standin::signature(&NAME); }    \
    STANDIN_EXPORT const char* standin_launch_##NAME(const unsigned* sizes, size_t shared,         \
                                                 void** arguments)                             \
    {                                                                                          \
        return standin::launch(&NAME, sizes, shared, arguments);                               \
    }
