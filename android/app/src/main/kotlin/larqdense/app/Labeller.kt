package larqdense.app

import android.content.res.AssetManager
import larqdense.vision.Entry
import larqdense.vision.ModelSpec
import larqdense.vision.Picture
import larqdense.vision.input
import larqdense.vision.labels
import larqdense.vision.overlay
import larqdense.xnor.XnorDelegate
import java.io.Closeable

/**
 * How a network is run.
 *
 * @property engine Whether this project's engine runs an all-integer network. All others, and these
 *   without it, are run by LiteRT with the delegate.
 */
data class Choice(val threads: Int, val engine: Boolean)

/** An entry that labels pictures, with its int8 baseline, whose time is shown for comparison. */
class Labeller(assets: AssetManager, entry: Entry, choice: Choice) : Closeable {
    private val network = Network(assets.map(entry.file)) {
        if (choice.engine && entry.allInteger) EngineRunner(it, choice.threads)
        else LiteRtRunner(it, choice.threads, XnorDelegate(choice.threads))
    }
    private val baseline = try {
        entry.baseline?.let { name ->
            Network(assets.map(name)) { LiteRtRunner(it, choice.threads, null) }
        }
    } catch (error: Exception) {
        network.close()
        throw error
    }

    val spec: ModelSpec get() = network.spec
    val milliseconds: Double? get() = network.medianMilliseconds
    val baselineMilliseconds: Double? get() = baseline?.medianMilliseconds

    /** Returns the picture with its labels laid over it. */
    fun label(picture: Picture): Picture {
        val logits = network.run(spec.input(picture))
        return spec.overlay(picture, spec.labels(logits, picture.width, picture.height))
    }

    /** Runs the baseline, only for its time: its weights are random. */
    fun timeBaseline(picture: Picture) {
        baseline?.run(spec.input(picture))
    }

    override fun close() {
        network.close()
        baseline?.close()
    }
}
