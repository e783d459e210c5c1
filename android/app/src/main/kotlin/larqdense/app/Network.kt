package larqdense.app

import android.content.res.AssetManager
import larqdense.vision.Logits
import larqdense.vision.ModelFileException
import larqdense.vision.ModelSpec
import java.io.Closeable
import java.io.FileInputStream
import java.nio.MappedByteBuffer
import java.nio.channels.FileChannel

/** What runs a file: from a normalized picture to logits. */
interface Runner : Closeable {
    val inputs: Int
    val outputShape: IntArray

    /** Takes `inputs` values, and gives as many as `outputShape` says. */
    fun run(picture: FloatArray): FloatArray
}

/**
 * A file on a runner. It is used on one thread at a time, and timed.
 *
 * @param open Opens the runner, which the network closes.
 * @throws ModelFileException The file has no description by larq_dense, or one that does not fit.
 * @throws RuntimeException The runner refuses the file.
 */
class Network(file: MappedByteBuffer, open: (MappedByteBuffer) -> Runner) : Closeable {
    val spec = ModelSpec.read(file)
    private val runner = open(file)
    private val milliseconds = ArrayDeque<Double>()
    private var warm = false

    init {
        val expected = 3 * spec.height * spec.width
        if (runner.inputs != expected || runner.outputShape.getOrNull(3) != spec.outputs) {
            close()
            throw ModelFileException("its description does not fit its network.")
        }
    }

    /** The median of the last runs, or null before the second; the first one warms up. */
    val medianMilliseconds: Double? get() = milliseconds.sorted().getOrNull(milliseconds.size / 2)

    /** Runs the network on what `spec.input` gives. */
    fun run(picture: FloatArray): Logits {
        val start = System.nanoTime()
        val values = runner.run(picture)
        note((System.nanoTime() - start) / 1e6)
        val (_, height, width, channels) = runner.outputShape
        return Logits(height, width, channels, values)
    }

    override fun close() = runner.close()

    private fun note(time: Double) {
        if (warm) milliseconds += time
        warm = true
        if (milliseconds.size > TIMED_RUNS) milliseconds.removeFirst()
    }

    private companion object {
        const val TIMED_RUNS = 15
    }
}

/** Maps an uncompressed asset into memory. */
fun AssetManager.map(name: String): MappedByteBuffer = openFd(name).use { asset ->
    FileInputStream(asset.fileDescriptor).use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, asset.startOffset, asset.declaredLength)
    }
}
