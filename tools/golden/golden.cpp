// A flat C interface to libllama, for golden.py (structs passed by value are no fun in ctypes).
//
// LLAMA is llama.cpp as vendored in llama-cpp-python 0.3.36. Build it twice (from two copies, or one after the other), as shared libraries:
//   cmake -B BUILD -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_NATIVE=OFF -DGGML_CPU_REPACK=OFF -DGGML_OPENMP=OFF
//     -DLLAMA_CURL=OFF -DLLAMA_BUILD_{COMMON,TESTS,TOOLS,EXAMPLES,SERVER}=OFF && cmake --build BUILD --target llama
//   for `deq` the same with -DGGML_LLAMAFILE=OFF, and with `#define GGML_GELU_FP16` taken out of ggml/src/ggml-cpu/vec.h (Gemma's GELU
//   comes from a table of half-precision values otherwise): --target ggml-cpu is enough, only libggml-cpu.so differs.
// With these flags and x86-64 (AVX2) every number of the older reference data that was tried (six models) comes out the same to the last bit.
// Then:
//   g++ -O2 -shared -fPIC -o libgolden.so golden.cpp -I LLAMA/include -I LLAMA/ggml/include -L BUILD/bin -lllama -lggml -lggml-base
// Run: see golden.py.

#include "llama.h"

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

struct Golden {
    llama_model * model;
    llama_context * ctx;
};

void log_errors(ggml_log_level level, const char * text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) {
        fputs(text, stderr);
    }
}

} // namespace

extern "C" {

// KV cache f32, flash attention off, CPU repack off. n_ctx 0: the model's.
void * golden_load(const char * path, int threads, uint32_t n_ctx) {
    llama_log_set(log_errors, nullptr);
    llama_backend_init();
    llama_model_params mp = llama_model_default_params();
    mp.n_gpu_layers = 0;
    mp.use_extra_bufts = false;
    llama_model * model = llama_model_load_from_file(path, mp);
    if (model == nullptr) {
        return nullptr;
    }
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx = n_ctx;
    cp.n_threads = threads;
    cp.n_threads_batch = threads;
    cp.n_batch = 2048;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    cp.type_k = GGML_TYPE_F32;
    cp.type_v = GGML_TYPE_F32;
    cp.no_perf = true;
    llama_context * ctx = llama_init_from_model(model, cp);
    if (ctx == nullptr) {
        return nullptr;
    }
    return new Golden{model, ctx};
}

void golden_free(void * h) {
    auto * g = static_cast<Golden *>(h);
    llama_free(g->ctx);
    llama_model_free(g->model);
    delete g;
}

void golden_desc(void * h, char * buf, size_t n) {
    llama_model_desc(static_cast<Golden *>(h)->model, buf, n);
}

// In the order of INFO in golden.py.
void golden_info(void * h, int64_t * out) {
    const llama_model * m = static_cast<Golden *>(h)->model;
    const llama_vocab * v = llama_model_get_vocab(m);
    int i = 0;
    out[i++] = static_cast<int64_t>(llama_model_n_params(m));
    out[i++] = static_cast<int64_t>(llama_model_size(m));
    out[i++] = llama_model_n_embd(m);
    out[i++] = llama_model_n_layer(m);
    out[i++] = llama_model_n_head(m);
    out[i++] = llama_model_n_head_kv(m);
    out[i++] = llama_model_n_ctx_train(m);
    out[i++] = llama_model_n_swa(m);
    out[i++] = llama_model_rope_type(m);
    out[i++] = llama_vocab_n_tokens(v);
    out[i++] = llama_vocab_bos(v);
    out[i++] = llama_vocab_eos(v);
    out[i++] = llama_vocab_eot(v);
    out[i++] = llama_vocab_get_add_bos(v);
    out[i++] = llama_vocab_get_add_eos(v);
    out[i++] = llama_vocab_type(v);
}

int golden_tokenize(void * h, const char * text, int len, int32_t * ids, int max) {
    const llama_vocab * v = llama_model_get_vocab(static_cast<Golden *>(h)->model);
    return llama_tokenize(v, text, len, ids, max, true, true);
}

int golden_piece(void * h, int32_t id, char * buf, int n) {
    const llama_vocab * v = llama_model_get_vocab(static_cast<Golden *>(h)->model);
    return llama_token_to_piece(v, id, buf, n, 0, true);
}

int golden_is_eog(void * h, int32_t id) {
    return llama_vocab_is_eog(llama_model_get_vocab(static_cast<Golden *>(h)->model), id);
}

void golden_clear(void * h) {
    llama_memory_clear(llama_get_memory(static_cast<Golden *>(h)->ctx), true);
}

// One batch of n tokens from position `at`; logits of all of them (all = 1) or of the last into out.
int golden_decode(void * h, const int32_t * ids, int n, int at, int all, float * out) {
    auto * g = static_cast<Golden *>(h);
    const int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(g->model));
    llama_batch b = llama_batch_init(n, 0, 1);
    b.n_tokens = n;
    for (int i = 0; i < n; ++i) {
        b.token[i] = ids[i];
        b.pos[i] = at + i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = 0;
        b.logits[i] = all || i == n - 1;
    }
    const int rc = llama_decode(g->ctx, b);
    if (rc == 0) {
        for (int i = 0, row = 0; i < n; ++i) {
            if (b.logits[i]) {
                memcpy(out + static_cast<size_t>(row++) * n_vocab, llama_get_logits_ith(g->ctx, i), sizeof(float) * n_vocab);
            }
        }
    }
    llama_batch_free(b);
    return rc;
}

// ftype: enum llama_ftype (0 = all F32, 15 = Q4_K_M, 38 = MXFP4_MOE).
int golden_quantize(const char * from, const char * to, int ftype) {
    llama_log_set(log_errors, nullptr);
    llama_model_quantize_params p = llama_model_quantize_default_params();
    p.nthread = 1;
    p.ftype = static_cast<llama_ftype>(ftype);
    p.allow_requantize = true;
    return static_cast<int>(llama_model_quantize(from, to, &p));
}

} // extern "C"
