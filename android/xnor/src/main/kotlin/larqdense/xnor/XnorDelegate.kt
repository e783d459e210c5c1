package larqdense.xnor

import org.tensorflow.lite.Delegate

/**
 * Runs Larq Compute Engine's operators on LiteRT's stock interpreter.
 *
 * Add it to an interpreter's options, and close it after that interpreter.
 *
 * @param threads How many threads it uses; 0 leaves that to the interpreter.
 * @throws IllegalArgumentException The delegate refuses; the message says why.
 */
class XnorDelegate @JvmOverloads constructor(threads: Int = 0) : Delegate {
    private var handle = create(threads)

    override fun getNativeHandle(): Long {
        check(handle != 0L) { "the XNOR delegate was closed." }
        return handle
    }

    override fun close() {
        destroy(handle)
        handle = 0
    }

    private companion object {
        init {
            System.loadLibrary("larq_dense_xnor_jni")
        }

        @JvmStatic
        private external fun create(threads: Int): Long

        @JvmStatic
        private external fun destroy(handle: Long)
    }
}
