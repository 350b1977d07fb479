/* Copies columns [x, y, plane] into rows [y, x, plane], in tiles that fit into registers.

   Compiled where there is a compiler (hatch_build.py); transposition.py does the same with numpy
   where there is none. Only the limited API of Python 3.11: one binary serves all later versions.
*/

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* Where columns or rows begin, and the bytes from one to the next. */
typedef struct {
    char *data;
    Py_ssize_t stride;
} Lines;

static inline char *pixel_at(Lines lines, Py_ssize_t line, Py_ssize_t offset)
{
    return lines.data + line * lines.stride + offset;
}

/* Copy the pixels [x0, x1) x [y0, y1), one by one. Inlined with a constant size, each memcpy is a
   single load and store. */
static inline void copy_pixels(Lines columns, Lines rows, Py_ssize_t x0, Py_ssize_t x1,
                               Py_ssize_t y0, Py_ssize_t y1, Py_ssize_t size)
{
    for (Py_ssize_t y = y0; y < y1; y++)
        for (Py_ssize_t x = x0; x < x1; x++)
            memcpy(pixel_at(rows, y, x * size), pixel_at(columns, x, y * size), (size_t)size);
}

/* Copy all pixels, a few rows at a time, so that each cache line of a column is used as a whole. */
static inline void copy_in_strips(Lines columns, Lines rows, Py_ssize_t width, Py_ssize_t height,
                                  Py_ssize_t size)
{
    const Py_ssize_t strip = 8;
    for (Py_ssize_t y = 0; y < height; y += strip) {
        Py_ssize_t end = y + strip < height ? y + strip : height;
        copy_pixels(columns, rows, 0, width, y, end, size);
    }
}

/* Have a cache line loaded that will be written: a store would wait for it. */
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address, 1)
#else
#define PREFETCH(address) ((void)0)
#endif

/* A vector holds 16 bytes. LOW and HIGH interleave the first and the second halves of two vectors:
   a0 b0 a1 b1 ... They are part of every x86-64 and every 64-bit ARM processor. */
#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
typedef __m128i Vector;
#define LOAD(address) _mm_loadu_si128((const Vector *)(address))
#define STORE(address, vector) _mm_storeu_si128((Vector *)(address), vector)
#define LOW_8(a, b) _mm_unpacklo_epi8(a, b)
#define HIGH_8(a, b) _mm_unpackhi_epi8(a, b)
#define LOW_16(a, b) _mm_unpacklo_epi16(a, b)
#define HIGH_16(a, b) _mm_unpackhi_epi16(a, b)
#define LOW_32(a, b) _mm_unpacklo_epi32(a, b)
#define HIGH_32(a, b) _mm_unpackhi_epi32(a, b)
#define LOW_64(a, b) _mm_unpacklo_epi64(a, b)
#define HIGH_64(a, b) _mm_unpackhi_epi64(a, b)
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
typedef uint8x16_t Vector;
#define LOAD(address) vld1q_u8((const uint8_t *)(address))
#define STORE(address, vector) vst1q_u8((uint8_t *)(address), vector)
#define INTERLEAVE(zip, bits, a, b)                                                               \
    vreinterpretq_u8_u##bits(                                                                     \
        zip##_u##bits(vreinterpretq_u##bits##_u8(a), vreinterpretq_u##bits##_u8(b)))
#define LOW_8(a, b) vzip1q_u8(a, b)
#define HIGH_8(a, b) vzip2q_u8(a, b)
#define LOW_16(a, b) INTERLEAVE(vzip1q, 16, a, b)
#define HIGH_16(a, b) INTERLEAVE(vzip2q, 16, a, b)
#define LOW_32(a, b) INTERLEAVE(vzip1q, 32, a, b)
#define HIGH_32(a, b) INTERLEAVE(vzip2q, 32, a, b)
#define LOW_64(a, b) INTERLEAVE(vzip1q, 64, a, b)
#define HIGH_64(a, b) INTERLEAVE(vzip2q, 64, a, b)
#endif

/* Define transpose_BITS, which copies tiles of N x N pixels, N vectors each, and the rest of the
   pixels one by one. Interleaving the first half of the vectors with the second half, log2(N)
   times, transposes a tile. Four tiles side by side write one cache line of each row. */
#ifdef LOAD
#define DEFINE_TRANSPOSE(BITS, N)                                                                 \
    static inline void transpose_tile_##BITS(Lines columns, Lines rows, Py_ssize_t x,             \
                                             Py_ssize_t y)                                        \
    {                                                                                             \
        Vector from[N], to[N];                                                                    \
        for (int i = 0; i < N; i++)                                                               \
            from[i] = LOAD(pixel_at(columns, x + i, y * (BITS / 8)));                             \
        for (int vectors = N; vectors > 1; vectors /= 2) {                                        \
            for (int i = 0; i < N / 2; i++) {                                                     \
                to[2 * i] = LOW_##BITS(from[i], from[i + N / 2]);                                 \
                to[2 * i + 1] = HIGH_##BITS(from[i], from[i + N / 2]);                            \
            }                                                                                     \
            memcpy(from, to, sizeof from);                                                        \
        }                                                                                         \
        for (int i = 0; i < N; i++)                                                               \
            STORE(pixel_at(rows, y + i, x * (BITS / 8)), from[i]);                                \
    }                                                                                             \
    static inline void prefetch_##BITS(Lines rows, Py_ssize_t x, Py_ssize_t y)                    \
    {                                                                                             \
        for (int i = 0; i < N; i++)                                                               \
            PREFETCH(pixel_at(rows, y + i, x * (BITS / 8)));                                      \
    }                                                                                             \
    static void transpose_##BITS(Lines columns, Lines rows, Py_ssize_t width, Py_ssize_t height)  \
    {                                                                                             \
        Py_ssize_t right = width - width % N, bottom = height - height % N;                       \
        for (Py_ssize_t y = 0; y < bottom; y += N) {                                              \
            for (Py_ssize_t x = 0; x < right; x += N) {                                           \
                if (x % (4 * N) == 0 && y + N < bottom)                                           \
                    prefetch_##BITS(rows, x, y + N);                                              \
                transpose_tile_##BITS(columns, rows, x, y);                                       \
            }                                                                                     \
            copy_pixels(columns, rows, right, width, y, y + N, BITS / 8);                         \
        }                                                                                         \
        copy_pixels(columns, rows, 0, width, bottom, height, BITS / 8);                           \
    }
#else
#define DEFINE_TRANSPOSE(BITS, N)                                                                 \
    static void transpose_##BITS(Lines columns, Lines rows, Py_ssize_t width, Py_ssize_t height)  \
    {                                                                                             \
        copy_in_strips(columns, rows, width, height, BITS / 8);                                   \
    }
#endif

DEFINE_TRANSPOSE(8, 16)
DEFINE_TRANSPOSE(16, 8)
DEFINE_TRANSPOSE(32, 4)
DEFINE_TRANSPOSE(64, 2)

static void transpose_any(Lines columns, Lines rows, Py_ssize_t width, Py_ssize_t height,
                          Py_ssize_t size)
{
    switch (size) {
    case 1: transpose_8(columns, rows, width, height); break;
    case 2: transpose_16(columns, rows, width, height); break;
    case 4: transpose_32(columns, rows, width, height); break;
    case 8: transpose_64(columns, rows, width, height); break;
    case 3: copy_in_strips(columns, rows, width, height, 3); break;
    case 6: copy_in_strips(columns, rows, width, height, 6); break;
    case 12: copy_in_strips(columns, rows, width, height, 12); break;
    case 24: copy_in_strips(columns, rows, width, height, 24); break;
    default: copy_in_strips(columns, rows, width, height, size);
    }
}

/* Return whether each line of a three-dimensional array is contiguous. */
static int has_contiguous_lines(const Py_buffer *array)
{
    Py_ssize_t pixel = array->shape[2] * array->itemsize;
    return (array->shape[2] == 1 || array->strides[2] == array->itemsize)
        && (array->shape[1] == 1 || array->strides[1] == pixel);
}

static int fit_together(const Py_buffer *columns, const Py_buffer *rows)
{
    return columns->ndim == 3 && rows->ndim == 3 && columns->itemsize == rows->itemsize
        && columns->shape[0] == rows->shape[1] && columns->shape[1] == rows->shape[0]
        && columns->shape[2] == rows->shape[2] && has_contiguous_lines(columns)
        && has_contiguous_lines(rows);
}

static PyObject *transpose_buffers(const Py_buffer *columns, const Py_buffer *rows)
{
    if (!fit_together(columns, rows)) {
        PyErr_SetString(PyExc_ValueError,
                        "the arrays are not [x, y, plane] and [y, x, plane] of the same size, "
                        "with contiguous columns and rows");
        return NULL;
    }
    Lines from = {columns->buf, columns->strides[0]}, to = {rows->buf, rows->strides[0]};
    Py_ssize_t width = columns->shape[0], height = columns->shape[1];
    Py_ssize_t size = columns->shape[2] * columns->itemsize;
    Py_BEGIN_ALLOW_THREADS
    transpose_any(from, to, width, height, size);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(transpose_doc,
             "transpose(columns, rows, /)\n--\n\n"
             "Copy `columns`, `[x, y, plane]`, into `rows`, `[y, x, plane]`; releases the GIL.");

static PyObject *transpose(PyObject *module, PyObject *arguments)
{
    (void)module;
    PyObject *columns_object, *rows_object, *result = NULL;
    Py_buffer columns, rows;
    if (!PyArg_ParseTuple(arguments, "OO:transpose", &columns_object, &rows_object))
        return NULL;
    if (PyObject_GetBuffer(columns_object, &columns, PyBUF_STRIDED_RO))
        return NULL;
    if (!PyObject_GetBuffer(rows_object, &rows, PyBUF_STRIDED)) {
        result = transpose_buffers(&columns, &rows);
        PyBuffer_Release(&rows);
    }
    PyBuffer_Release(&columns);
    return result;
}

static PyMethodDef methods[] = {
    {"transpose", transpose, METH_VARARGS, transpose_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_transpose",
    .m_doc = "The compiled copy from columns into rows.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__transpose(void)
{
    return PyModuleDef_Init(&definition);
}
