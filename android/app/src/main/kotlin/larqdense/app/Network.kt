package larqdense.app

import android.content.res.AssetManager
import larqdense.vision.Logits
import larqdense.vision.ModelFileException
import larqdense.vision.ModelSpec
import larqdense.xnor.XnorDelegate
import org.tensorflow.lite.Interpreter
import java.io.Closeable
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel

/**
 * A file on LiteRT's interpreter. It is used on one thread at a time, and timed.
 *
 * @param delegate What runs Larq Compute Engine's operators; the network closes it.
 * @throws ModelFileException The file carries no description of ours, or one that does not fit.
 * @throws RuntimeException The interpreter refuses the file.
 */
class Network(
    file: MappedByteBuffer,
    threads: Int,
    private val delegate: XnorDelegate?,
) : Closeable {
    val spec: ModelSpec
    private val interpreter: Interpreter
    private val input: ByteBuffer
    private val output: ByteBuffer
    private val logits: IntArray
    private val milliseconds = ArrayDeque<Double>()
    private var warm = false

    init {
        try {
            spec = ModelSpec.read(file)
            val options = Interpreter.Options().setNumThreads(threads)
            delegate?.let(options::addDelegate)
            interpreter = Interpreter(file, options)
        } catch (error: Exception) {
            delegate?.close()
            throw error
        }
        try {
            input = floats(interpreter.getInputTensor(0).numBytes())
            output = floats(interpreter.getOutputTensor(0).numBytes())
            logits = interpreter.getOutputTensor(0).shape()
        } catch (error: Exception) {  // a network without inputs or outputs
            close()
            throw error
        }
        val expected = 4 * 3 * spec.height * spec.width
        if (input.capacity() != expected || logits.getOrNull(3) != spec.outputs) {
            close()
            throw ModelFileException("its description does not fit its network.")
        }
    }

    /** The median of the last runs, or null before the second; the first one warms up. */
    val medianMilliseconds: Double? get() = milliseconds.sorted().getOrNull(milliseconds.size / 2)

    /** Runs the network on what `spec.input` gives. */
    fun run(picture: FloatArray): Logits {
        input.asFloatBuffer().put(picture)
        output.rewind()
        val start = System.nanoTime()
        interpreter.run(input, output)
        note((System.nanoTime() - start) / 1e6)
        val values = FloatArray(output.capacity() / 4)
        output.rewind()
        output.asFloatBuffer().get(values)
        return Logits(logits[1], logits[2], logits[3], values)
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    private fun note(time: Double) {
        if (warm) milliseconds += time
        warm = true
        if (milliseconds.size > TIMED_RUNS) milliseconds.removeFirst()
    }

    private companion object {
        const val TIMED_RUNS = 15

        fun floats(bytes: Int): ByteBuffer =
            ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
    }
}

/** Maps an uncompressed asset into memory. */
fun AssetManager.map(name: String): MappedByteBuffer = openFd(name).use { asset ->
    FileInputStream(asset.fileDescriptor).use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
    }
}
