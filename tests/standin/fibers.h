// The threads of one block as fibers: each runs until it waits for others, then the next one.
//
// A fiber that ends takes up the next thread that has not begun, so a kernel without
// synchronisation needs one fiber. Switching is setjmp and longjmp, because swapcontext makes a
// system call each time; ucontext only begins a fiber on a stack of its own.

#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <setjmp.h>
#include <ucontext.h>

namespace standin {

constexpr unsigned MOST_THREADS = 1024;
constexpr size_t STACK = 256 << 10;
enum class State { unborn, ready, barrier, warp, done };
enum class Collective { shuffle, ballot, sync };

struct Fiber {
    ucontext_t start;
    jmp_buf at;
    char* stack;
    bool begun;
};

struct Thread {
    State state;
    int line;               // where it waits
    Collective collective;  // what for, if for its warp
    unsigned mask;
    unsigned source;  // lane
    uint64_t value, result;
    Fiber* fiber;
};

inline Thread threads[MOST_THREADS];
inline Fiber* idle[MOST_THREADS];
inline unsigned idle_count, thread_count, next_unborn, current;
// Every second launch runs its threads and blocks from the last to the first: what was right only
// because a lower one had come before is wrong then.
inline bool backwards;
inline jmp_buf scheduler;
inline ucontext_t unused;
inline void (*body)(void*);
inline void* body_argument;
inline char error[400];

// Number k in the order in which they run.
inline unsigned in_order(unsigned k, unsigned count) { return backwards ? count - 1 - k : k; }

inline void become(unsigned t)
{
    current = t;
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

inline void live()  // of a fiber
{
    for (;;) {
        Fiber* const mine = threads[current].fiber;
        body(body_argument);
        threads[current].state = State::done;
        if (next_unborn < thread_count) {
            become(in_order(next_unborn++, thread_count));
            threads[current].fiber = mine;
            continue;
        }
        idle[idle_count++] = mine;
        if (!_setjmp(mine->at)) _longjmp(scheduler, 1);
    }
}

inline Fiber* fiber()
{
    if (idle_count) return idle[--idle_count];
    Fiber* made = static_cast<Fiber*>(std::malloc(sizeof(Fiber)));
    made->stack = static_cast<char*>(std::malloc(STACK));
    made->begun = false;
    getcontext(&made->start);
    made->start.uc_stack.ss_sp = made->stack;
    made->start.uc_stack.ss_size = STACK;
    made->start.uc_link = nullptr;
    makecontext(&made->start, live, 0);
    return made;
}

__attribute__((noinline)) inline void resume(unsigned t)
{
    become(t);
    Fiber* f = threads[t].fiber;
    if (_setjmp(scheduler)) return;
    if (f->begun) _longjmp(f->at, 1);
    f->begun = true;
    swapcontext(&unused, &f->start);
}

__attribute__((noinline)) inline void wait(State state, int line)
{
    Thread& me = threads[current];
    me.state = state;
    me.line = line;
    if (!_setjmp(me.fiber->at)) _longjmp(scheduler, 1);
}

inline void barrier(int line) { wait(State::barrier, line); }

inline unsigned lane() { return current % 32; }
inline unsigned below(unsigned lanes) { return lane() + lanes < 32 ? lane() + lanes : lane(); }
inline unsigned above(unsigned lanes) { return lane() >= lanes ? lane() - lanes : lane(); }

inline uint64_t collect(int line, Collective what, unsigned mask, uint64_t value, unsigned source)
{
    Thread& me = threads[current];
    me.collective = what;
    me.mask = mask;
    me.value = value;
    me.source = source;
    wait(State::warp, line);
    return me.result;
}

inline void warp_sync(int line, unsigned mask = 0xffffffffu)
{
    collect(line, Collective::sync, mask, 0, lane());
}

template <class T> T shuffle(int line, unsigned mask, T value, unsigned source)
{
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = collect(line, Collective::shuffle, mask, bits, source % 32);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T> unsigned ballot(int line, unsigned mask, T predicate)
{
    return collect(line, Collective::ballot, mask, predicate ? 1 : 0, lane());
}

// Let go the threads of a warp that wait for each other; false if some are not there yet.
inline bool release_warp(unsigned first, unsigned t)
{
    const unsigned mask = threads[t].mask;
    if (!(mask >> (t - first) & 1)) {
        std::snprintf(error, sizeof error, "line %d: the mask %#x leaves out lane %u, which calls",
                      threads[t].line, mask, t - first);
        return false;
    }
    unsigned taking_part = 0, votes = 0;
    for (unsigned l = 0; l < 32 && first + l < thread_count; ++l) {
        const Thread& other = threads[first + l];
        if (!(mask >> l & 1) || other.state == State::done) continue;
        if (other.state != State::warp || other.mask != mask || other.line != threads[t].line ||
            other.collective != threads[t].collective)
            return false;
        taking_part |= 1u << l;
        votes |= unsigned(other.value & 1) << l;
    }
    for (unsigned l = 0; l < 32; ++l) {
        if (!(taking_part >> l & 1)) continue;
        Thread& me = threads[first + l];
        if (me.collective == Collective::ballot) {
            me.result = votes;
        } else if (!(taking_part >> me.source & 1)) {
            std::snprintf(error, sizeof error,
                          "line %d: lane %u reads lane %u, which takes no part or is not there",
                          me.line, l, me.source);
            return false;
        } else {
            me.result = threads[first + me.source].value;
        }
    }
    for (unsigned l = 0; l < 32; ++l)
        if (taking_part >> l & 1) threads[first + l].state = State::ready;
    return true;
}

inline bool release_barrier()
{
    int line = 0;
    for (unsigned t = 0; t < thread_count; ++t) {
        if (threads[t].state == State::done) continue;
        if (threads[t].state != State::barrier) return false;
        if (line && threads[t].line != line) {
            std::snprintf(error, sizeof error, "threads wait at __syncthreads of line %d and of %d",
                          line, threads[t].line);
            return false;
        }
        line = threads[t].line;
    }
    for (unsigned t = 0; t < thread_count; ++t)
        if (threads[t].state == State::barrier) threads[t].state = State::ready;
    return line != 0;
}

inline bool release()
{
    bool any = false;
    for (unsigned t = 0; t < thread_count; ++t)
        if (threads[t].state == State::warp && release_warp(t / 32 * 32, t)) any = true;
    return any || (!*error && release_barrier());
}

// Run all threads of a block; false, with a message in `error`, if they cannot all end.
inline bool run_block()
{
    thread_count = blockDim.x * blockDim.y * blockDim.z;
    for (unsigned t = 0; t < thread_count; ++t) threads[t].state = State::unborn;
    next_unborn = 0;
    while (next_unborn < thread_count) {
        const unsigned t = in_order(next_unborn++, thread_count);
        threads[t].fiber = fiber();
        resume(t);
    }
    for (;;) {
        for (unsigned k = 0; k < thread_count; ++k) {
            const unsigned t = in_order(k, thread_count);
            if (threads[t].state == State::ready) resume(t);
        }
        unsigned waiting = 0, line = 0;
        for (unsigned t = 0; t < thread_count; ++t)
            if (threads[t].state != State::done) ++waiting, line = threads[t].line;
        if (!waiting) return true;
        *error = 0;
        if (release() && !*error) continue;
        if (!*error)
            std::snprintf(error, sizeof error,
                          "%u threads wait for others that never come, one at line %u", waiting,
                          line);
        return false;  // their fibers are given up, with their stacks
    }
}

}  // namespace standin
