#pragma once

/// Marks a hot loop that is compiled several times, for the vector units of newer processors; the
/// loader picks one. Our loops keep the order of every sum and are compiled without contraction of
/// a * b + c, so all versions give the same bits. Sanitizers cannot run such functions.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define TWINSCREEN_VECTOR_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define TWINSCREEN_VECTOR_CLONES
#endif
