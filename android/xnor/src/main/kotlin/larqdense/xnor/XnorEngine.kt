package larqdense.xnor

import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * Runs an all-int8 network without LiteRT.
 *
 * It is used on one thread at a time.
 *
 * @param file A file of `larq-dense convert --int8`, in a direct buffer; not needed afterwards.
 * @param threads How many threads it uses, 1 to 64.
 * @throws IllegalArgumentException The engine refuses the file; the message says why.
 */
class XnorEngine(file: ByteBuffer, private val threads: Int = 1) : Closeable {
    private var handle = open(file)

    /** What the network takes. */
    val input: Int8Tensor

    /** What it gives. */
    val output: Int8Tensor

    init {
        try {
            input = tensor(INPUT)
            output = tensor(OUTPUT)
        } catch (error: IllegalArgumentException) {
            close()
            throw error
        }
    }

    /**
     * Runs the network.
     *
     * @param input Its bytes, from the start of a direct buffer.
     * @param output Receives the result's bytes, from the start of a direct buffer.
     * @throws IllegalArgumentException A buffer is too small, or memory is short.
     */
    fun run(input: ByteBuffer, output: ByteBuffer) {
        check(handle != 0L) { "the engine was closed." }
        run(handle, input, output, threads)
    }

    override fun close() {
        close(handle)
        handle = 0
    }

    private fun tensor(end: Int): Int8Tensor {
        val words = ByteBuffer.allocateDirect(WORDS * Int.SIZE_BYTES).order(ByteOrder.nativeOrder())
        require(describe(handle, end, words) == 0 && words.getInt(0) == INT8) {
            "the network does not have one int8 input and one int8 output."
        }
        val shape = IntArray(words.getInt(4)) { words.getInt(4 * (2 + it)) }
        return Int8Tensor(shape, words.getFloat(4 * SCALE), words.getInt(4 * (SCALE + 1)))
    }

    private companion object {
        const val INPUT = 0
        const val OUTPUT = 1
        const val INT8 = 4
        const val SCALE = 8
        const val WORDS = 10

        init {
            System.loadLibrary("larq_dense_xnor_jni")
        }

        @JvmStatic
        private external fun open(file: ByteBuffer): Long

        @JvmStatic
        private external fun close(handle: Long)

        @JvmStatic
        private external fun describe(handle: Long, end: Int, description: ByteBuffer): Int

        @JvmStatic
        private external fun run(handle: Long, input: ByteBuffer, output: ByteBuffer, threads: Int)
    }
}

/** An input or an output; a value is `scale * (integer - zeroPoint)`. */
class Int8Tensor(val shape: IntArray, val scale: Float, val zeroPoint: Int) {
    val bytes: Int get() = shape.fold(1, Int::times)
}
