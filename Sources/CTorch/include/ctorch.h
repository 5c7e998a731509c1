/* CTorch: a thin C interface over libtorch, holding only the operations that lota's layers use.
 *
 * Conventions
 *   Status      Every function that can fail returns a ct_status; CT_OK is zero. On failure out-parameters are
 *               untouched and ct_last_error() describes what went wrong on the calling thread.
 *   Ownership   A ct_tensor returned through an out-parameter belongs to the caller, who frees it with ct_release.
 *               Arguments are borrowed. Views share storage with their source and keep it alive.
 *   NULL        A tensor argument may be NULL only where its comment says "optional".
 *   Threads     A tensor may be used from any thread, from one thread at a time. Operations use the library's own
 *               thread pool: never call them from several threads at once, nor from inside another pool.
 *   Gradients   No operation records a graph. Backward functions are explicit.
 *   Layout      Tensors are row-major. Functions below that say "rows" need the last dimension contiguous.
 *   Overwrite   Forward outputs are overwritten. Gradients of weights are accumulated where a name says "accumulate";
 *               every other result is overwritten.
 * The header is pure C, so the implementation can be built alone against another libtorch (a CUDA build, say).
 */
#ifndef LOTA_CTORCH_H
#define LOTA_CTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define CT_NOEXCEPT noexcept
#else
#define CT_NOEXCEPT
#endif

typedef struct ct_tensor_s *ct_tensor;

typedef enum {
  CT_OK = 0,
  CT_INVALID_ARGUMENT = 1, /* shapes, element types or devices do not fit */
  CT_OUT_OF_MEMORY = 2,
  CT_NOT_SUPPORTED = 3, /* this libtorch, device or element type cannot do it */
  CT_FAILED = 4
} ct_status;

typedef enum {
  CT_FLOAT32 = 0,
  CT_FLOAT64 = 1,
  CT_FLOAT16 = 2,
  CT_BFLOAT16 = 3,
  CT_INT64 = 4,
  CT_INT32 = 5,
  CT_INT16 = 6,
  CT_INT8 = 7,
  CT_UINT8 = 8,
  CT_BOOL = 9
} ct_dtype;

typedef enum { CT_CPU = 0, CT_CUDA = 1, CT_MPS = 2 } ct_device_kind;

typedef struct {
  ct_device_kind kind;
  int32_t index; /* 0 on CPU and MPS */
} ct_device;

/* ---- runtime ---------------------------------------------------------------------------------------------- */

/* Message of the last failure on this thread; valid until the next failing call. Never NULL. */
const char *ct_last_error(void) CT_NOEXCEPT;
/* libtorch's version, "2.13.0" for example. */
const char *ct_version(void) CT_NOEXCEPT;
/* Instruction set that libtorch's CPU kernels use, "AVX512" for example. */
const char *ct_cpu_capability(void) CT_NOEXCEPT;
/* What large float32 matrix products on the CPU run on: "oneDNN" or "BLAS". LOTA_GEMM=blas in the environment forces
 * the latter. */
const char *ct_matrix_library(void) CT_NOEXCEPT;
/* Keeps freed blocks in the process instead of returning them to the system, where the C library allows it
 * (glibc: M_MMAP_THRESHOLD, M_TRIM_THRESHOLD); page faults would otherwise dominate a training step. */
void ct_keep_freed_memory(void) CT_NOEXCEPT;
/* Returns freed blocks to the system now, where the C library allows it. */
void ct_trim_memory(void) CT_NOEXCEPT;
ct_status ct_set_threads(int32_t count) CT_NOEXCEPT;
int32_t ct_threads(void) CT_NOEXCEPT;
/* Number of usable devices of a kind: 1 for CPU; 0 where the kind is missing. Asking for CUDA loads its library first. */
int32_t ct_device_count(ct_device_kind kind) CT_NOEXCEPT;
/* Path of libtorch's CUDA library, loaded now if it was not; valid forever. CT_NOT_SUPPORTED, with the reason, where there
 * is none or it cannot be loaded. */
ct_status ct_cuda_library(const char **path) CT_NOEXCEPT;
/* Most bytes that libtorch has held on a device other than the CPU, since the start or the last reset. */
ct_status ct_peak_device_memory(ct_device device, bool reset, int64_t *bytes) CT_NOEXCEPT;
/* Waits until queued work on the device is done. */
ct_status ct_synchronize(ct_device device) CT_NOEXCEPT;

/* ---- creation, views, copies -------------------------------------------------------------------------------- */

void ct_release(ct_tensor tensor) CT_NOEXCEPT; /* NULL is ignored */
/* Uninitialised contiguous tensor. */
ct_status ct_empty(const int64_t *shape, int32_t rank, ct_dtype dtype, ct_device device, ct_tensor *out) CT_NOEXCEPT;
ct_status ct_full(const int64_t *shape, int32_t rank, double value, ct_dtype dtype, ct_device device, ct_tensor *out) CT_NOEXCEPT;
/* CPU tensor over memory of the caller, used in place. `release(context)` runs when the last view dies. */
ct_status ct_borrow(void *data, const int64_t *shape, int32_t rank, ct_dtype dtype, void (*release)(void *), void *context, ct_tensor *out) CT_NOEXCEPT;

int32_t ct_rank(ct_tensor tensor) CT_NOEXCEPT;
int64_t ct_size(ct_tensor tensor, int32_t dimension) CT_NOEXCEPT;
ct_dtype ct_dtype_of(ct_tensor tensor) CT_NOEXCEPT;
ct_device ct_device_of(ct_tensor tensor) CT_NOEXCEPT;
bool ct_is_contiguous(ct_tensor tensor) CT_NOEXCEPT;
/* First element; host memory only for CPU tensors. */
void *ct_data(ct_tensor tensor) CT_NOEXCEPT;

ct_status ct_reshape_view(ct_tensor source, const int64_t *shape, int32_t rank, ct_tensor *out) CT_NOEXCEPT;
ct_status ct_narrow(ct_tensor source, int32_t dimension, int64_t start, int64_t length, ct_tensor *out) CT_NOEXCEPT;
ct_status ct_transpose(ct_tensor source, int32_t first, int32_t second, ct_tensor *out) CT_NOEXCEPT;
/* Copy with another element type or device; a new contiguous tensor even when neither changes. */
ct_status ct_convert(ct_tensor source, ct_dtype dtype, ct_device device, ct_tensor *out) CT_NOEXCEPT;
/* destination = source, converting type and device; shapes must match. */
ct_status ct_copy(ct_tensor destination, ct_tensor source) CT_NOEXCEPT;
ct_status ct_fill(ct_tensor tensor, double value) CT_NOEXCEPT;
/* Normal numbers around zero, the same for the same seed on the same kind of device. */
ct_status ct_fill_normal(ct_tensor tensor, double deviation, uint64_t seed) CT_NOEXCEPT;

/* ---- arithmetic --------------------------------------------------------------------------------------------- */

/* out = beta * out + alpha * op(a) op(b); op is the transpose where asked. a, b, out are matrices. beta 0 ignores out. */
ct_status ct_gemm(ct_tensor a, bool transpose_a, ct_tensor b, bool transpose_b, double alpha, double beta, ct_tensor out) CT_NOEXCEPT;
/* out = x w', or += with accumulate: x rows [M, I], w rows [O, I], out rows [M, O]. Made for few rows: float32 on the CPU computes each row
 * of out as it would alone, in an order that depends on I only. Other types and devices: as ct_gemm. */
ct_status ct_row_product(ct_tensor x, ct_tensor w, bool accumulate, ct_tensor out) CT_NOEXCEPT;
/* Whether it keeps up with ct_gemm for many rows of float32 on the CPU as well. */
bool ct_row_product_suits_many(void) CT_NOEXCEPT;
/* out += alpha * source (shapes broadcast to out's). */
ct_status ct_add(ct_tensor out, ct_tensor source, double alpha) CT_NOEXCEPT;
/* out += a * b, element by element; all of one type. */
ct_status ct_add_product(ct_tensor out, ct_tensor a, ct_tensor b) CT_NOEXCEPT;
ct_status ct_scale(ct_tensor tensor, double factor) CT_NOEXCEPT;
/* Sum over all elements, accumulated in double for float32 on the CPU. Waits for the device. */
ct_status ct_sum(ct_tensor tensor, double *out) CT_NOEXCEPT;
/* Sum of squares, accumulated in double for float32 on the CPU. Waits for the device. */
ct_status ct_sum_of_squares(ct_tensor tensor, double *out) CT_NOEXCEPT;
/* out[c] += sum over rows r of source[r, c]: the gradient of a bias. */
ct_status ct_accumulate_column_sums(ct_tensor source, ct_tensor out) CT_NOEXCEPT;

/* ---- indexing ----------------------------------------------------------------------------------------------- */

/* out[i, :] = table[rows[i], :]. rows: int64 [R]. */
ct_status ct_gather_rows(ct_tensor table, ct_tensor rows, ct_tensor out) CT_NOEXCEPT;
/* table[rows[i], :] += source[i, :]; repeated rows add up. */
ct_status ct_accumulate_rows(ct_tensor table, ct_tensor rows, ct_tensor source) CT_NOEXCEPT;
/* out[i] = source.flat[index[i]] (or += with accumulate). source contiguous; index int32 or int64 [K]. */
ct_status ct_gather_flat(ct_tensor source, ct_tensor index, bool accumulate, ct_tensor out) CT_NOEXCEPT;
/* destination.flat[index[i]] = values[i], converting to destination's type. Indices must be distinct. */
ct_status ct_scatter_flat(ct_tensor destination, ct_tensor index, ct_tensor values) CT_NOEXCEPT;

/* ---- chosen entries of a weight's gradient: float32 on the CPU ------------------------------------------------ */

/* Elements that ct_turn_inputs writes for `rows` tokens of `width` inputs. */
int64_t ct_turned_size(int64_t rows, int64_t width) CT_NOEXCEPT;
/* The layer's input x, rows [N, I], as ct_sampled_product reads it. turned: at least ct_turned_size(N, I) elements. */
ct_status ct_turn_inputs(ct_tensor x, ct_tensor turned) CT_NOEXCEPT;
/* out[e] = (or += with accumulate) sum over n of dy[n, o] x[n, i] for the k entries index[e] = o * I + i, ascending.
 * dy: rows [N, O], may be a column range; index: int32 [k]; row_start: int32 [O + 1], the entries of row o are
 * row_start[o] ..< row_start[o + 1]; out: [k]. */
ct_status ct_sampled_product(ct_tensor dy, ct_tensor turned, int64_t inputs, ct_tensor index, ct_tensor row_start, bool accumulate, ct_tensor out) CT_NOEXCEPT;

/* ---- layers --------------------------------------------------------------------------------------------------
 * N tokens, D width, F intermediate width, V vocabulary, H query heads, K key/value heads, E head size.           */

/* y = x / sqrt(mean(x^2) + epsilon) * w;  rstd [N] float32 (float64 for float64 input) is kept for backward. */
ct_status ct_rms_norm(ct_tensor xND, ct_tensor wD, double epsilon, ct_tensor yND, ct_tensor rstdN) CT_NOEXCEPT;
/* dx += gradient with respect to x. dwAccumulateD: optional, += gradient with respect to w. */
ct_status ct_rms_norm_backward(ct_tensor dyND, ct_tensor xND, ct_tensor wD, ct_tensor rstdN, ct_tensor dxAccumulateND, ct_tensor dwAccumulateD) CT_NOEXCEPT;
/* Rotates each head's halves in place by the angle of its position (Su et al. 2021, in the half-split layout of
 * Hugging Face). x: rows [N, heads * E], may be a column range of a wider matrix. cosine, sine: [P, E/2] in x's
 * compute type (float32; float64 for float64). positions: int64 [N]. inverse rotates back (the gradient). */
ct_status ct_rotary(ct_tensor x, int64_t heads, ct_tensor cosine, ct_tensor sine, ct_tensor positions, bool inverse) CT_NOEXCEPT;
/* h = silu(g) * u, with g = gu[:, :F] and u = gu[:, F:]. */
ct_status ct_swiglu(ct_tensor gu, ct_tensor h) CT_NOEXCEPT;
/* Given dh, replaces gu by its gradient and dh by h, computed again. */
ct_status ct_swiglu_backward(ct_tensor gu, ct_tensor dh_to_h) CT_NOEXCEPT;
/* out = source / (1 - probability), or 0 with that probability: the same elements for the same seed and kind of device, so
 * that the gradient goes through the same call. out may be source. probability in [0, 1). */
ct_status ct_dropout(ct_tensor source, double probability, uint64_t seed, ct_tensor out) CT_NOEXCEPT;
/* losses[i] = -log softmax(logits[i])[targets[i]]; with gradient, logits become scale * (softmax - onehot).
 * logits [L, V]; targets int64 [L]; losses float32 (float64 for float64 logits). */
ct_status ct_cross_entropy(ct_tensor logits, ct_tensor targets, bool gradient, double scale, ct_tensor losses) CT_NOEXCEPT;

/* Causal attention inside each of `sequences` packed sequences; no token sees another sequence.
 * qkv: rows [N, (H + 2K) E]; offsets: host int32 [sequences + 1]; window: keys i - window < j <= i are seen, 0 = all.
 * device_offsets: optional, the same offsets on qkv's device; only the variable-length kernels of CUDA look at them, and
 * upload the others where they are missing.
 * out: [N, H E]. logsumexp: [H, N], for backward. */
ct_status ct_attention(ct_tensor qkv, const int32_t *offsets, int32_t sequences, ct_tensor device_offsets, int64_t H, int64_t K, int64_t window, ct_tensor out, ct_tensor logsumexp) CT_NOEXCEPT;
/* dqkv is overwritten: [N, (H + 2K) E]. */
ct_status ct_attention_backward(ct_tensor dout, ct_tensor qkv, ct_tensor out, ct_tensor logsumexp, const int32_t *offsets, int32_t sequences, ct_tensor device_offsets, int64_t H, int64_t K, int64_t window, ct_tensor dqkv) CT_NOEXCEPT;
/* Stores one token's key or value for each of B sequences: cache[slots[b], places[b]] = rows[b].
 * rows: [B, K E], may be a column range; cache: [S, T, K, E]; slots, places: host int32 [B]. */
ct_status ct_cache_append(ct_tensor cache, ct_tensor rows, const int32_t *slots, const int32_t *places) CT_NOEXCEPT;
/* One new token for each of B sequences against its cache. q: rows [B, H E]; keys, values: [S, T, K, E];
 * slots: host int32 [B], each sequence's place in the cache; lengths: host int32 [B], number of valid positions in
 * the cache, the new token's included. out: [B, H E]. */
ct_status ct_attention_decode(ct_tensor q, ct_tensor keys, ct_tensor values, const int32_t *slots, const int32_t *lengths, int64_t window, ct_tensor out) CT_NOEXCEPT;

/* ---- a step's statistics, kept on the device: none of these waits for it ---------------------------------------
 * report: [2], float64 where the device has it, else float32: the sum of the losses; the number of the first gradient that
 * holds NaN or infinity (or whose squares exceed float32), 0 while there is none.                                     */

/* report[0] += sum of losses. */
ct_status ct_report_losses(ct_tensor report, ct_tensor losses) CT_NOEXCEPT;
/* Notes `number`, from 1, unless the gradient is finite. squares, of no dimensions: = or += its sum of squares. */
ct_status ct_report_gradient(ct_tensor report, ct_tensor gradient, double number, bool accumulate, ct_tensor squares) CT_NOEXCEPT;
/* out, like squares: min(1, maximum_norm / (sqrt(squares) + 1e-6)), or 1 for maximum_norm 0; -1, refusing the update, when
 * the report names a gradient or its losses are not finite. */
ct_status ct_report_verdict(ct_tensor report, ct_tensor squares, double maximum_norm, ct_tensor *out) CT_NOEXCEPT;

/* ---- optimizers: one in-place step on tensors of equal shape; the gradient is multiplied by gradient_scale first --
 * verdict: optional, of no dimensions, on the device: multiplies the gradient too; negative leaves weights and state as
 * they are, to the bit. Nothing waits for it.                                                                          */

/* v = alpha v + (1 - alpha) g^2;  w -= rate * g / (sqrt(v) + epsilon). v float32 for half-precision weights. */
ct_status ct_rmsprop_step(ct_tensor w, ct_tensor g, ct_tensor v, double gradient_scale, ct_tensor verdict, double rate, double alpha, double epsilon) CT_NOEXCEPT;
/* Loshchilov and Hutter 2019, decoupled decay; step counts from 1. */
ct_status ct_adamw_step(ct_tensor w, ct_tensor g, ct_tensor m, ct_tensor v, double gradient_scale, ct_tensor verdict, double rate, double beta1, double beta2, double epsilon, double weight_decay, int64_t step) CT_NOEXCEPT;
ct_status ct_sgd_step(ct_tensor w, ct_tensor g, double gradient_scale, ct_tensor verdict, double rate) CT_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
