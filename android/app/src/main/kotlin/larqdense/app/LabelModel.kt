package larqdense.app

import android.app.Application
import android.graphics.Bitmap
import android.net.Uri
import androidx.camera.core.ImageProxy
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.LiveData
import androidx.lifecycle.MutableLiveData
import larqdense.vision.Entry
import larqdense.vision.LabelClass
import larqdense.vision.Picture
import larqdense.vision.findEntries
import java.util.concurrent.Executor
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/** What the screen shows. */
data class Screen(
    val picture: Bitmap? = null,
    val classes: List<LabelClass> = emptyList(),
    val milliseconds: Double? = null,
    val baselineMilliseconds: Double? = null,
    val message: String? = null,
)

/** What outlives a turn of the screen: the chosen entry, the picture, and the thread for both. */
class LabelModel(application: Application) : AndroidViewModel(application) {
    private val screens = MutableLiveData(Screen())
    private val found = MutableLiveData<List<Entry>>()
    private val assets = application.assets

    // A frame that the camera sends after the end is dropped, not an error.
    private val pool = ThreadPoolExecutor(
        1, 1, 0, TimeUnit.SECONDS, LinkedBlockingQueue(), ThreadPoolExecutor.DiscardPolicy()
    )

    // Only the worker touches these.
    private var screen = Screen()
    private var choice: Pair<Entry, Choice>? = null
    private var labeller: Labeller? = null
    private var still: Picture? = null
    private var frames = 0

    val screenState: LiveData<Screen> = screens
    val entries: LiveData<List<Entry>> = found

    /** The one thread on which networks are loaded and run. */
    val worker: Executor = pool

    /** Whether the camera is what is labelled, rather than a picture of the gallery. */
    @Volatile
    var live = true

    /** The chosen entry's place among `entries`. */
    var entryAt = 0

    /** The chosen number of threads' place in the list of them. */
    var threadsAt = 0

    /** Whether the engine runs all-integer networks, instead of LiteRT. */
    var engine = true

    init {
        pool.execute {
            val entries = findEntries(assets.list("").orEmpty().asIterable())
            if (entries.isEmpty()) show(Screen(message = text(R.string.no_entries)))
            found.postValue(entries)
        }
    }

    /** Loads an entry, unless it is the one that is loaded. */
    fun choose(entry: Entry, how: Choice) = pool.execute {
        if (choice == Pair(entry, how)) return@execute
        choice = Pair(entry, how)
        labeller?.close()
        labeller = null
        attempt(R.string.does_not_load) {
            labeller = Labeller(assets, entry, how)
            still?.let(::labelStill)
        }
    }

    /** Labels a picture of the gallery. */
    fun open(uri: Uri) = pool.execute {
        try {
            val picture = getApplication<Application>().contentResolver.readPicture(uri)
            still = picture
            attempt(R.string.does_not_run) { labelStill(picture) }
        } catch (_: Exception) {
            show(screen.copy(message = text(R.string.unreadable_picture)))
        }
    }

    /** Labels a frame of the camera; called on the worker. */
    fun analyze(frame: ImageProxy): Unit = frame.use {
        // The last frame may come after a picture of the gallery took its place.
        if (!live) return
        still = null
        attempt(R.string.does_not_run) {
            val picture = frame.toBitmap().toPicture()
            label(picture)
            if (frames++ % FRAMES_FOR_EACH_BASELINE == 0) labeller?.timeBaseline(picture)
        }
    }

    /** Shows a sentence. */
    fun say(message: String) = pool.execute { show(screen.copy(message = message)) }

    override fun onCleared() {
        pool.execute { labeller?.close() }
        pool.shutdown()
    }

    private fun labelStill(picture: Picture) = repeat(STILL_RUNS) {
        labeller?.timeBaseline(picture)
        label(picture)
    }

    private fun label(picture: Picture) {
        val labeller = labeller ?: return
        val labelled = labeller.label(picture).toBitmap()
        val classes = labeller.spec.classes
        show(Screen(labelled, classes, labeller.milliseconds, labeller.baselineMilliseconds))
    }

    /** Does something with the chosen network; where that fails, the screen says why. */
    private fun attempt(sentence: Int, action: () -> Unit) {
        try {
            action()
        } catch (error: Exception) {
            labeller?.close()
            labeller = null
            show(Screen(message = text(sentence, choice?.first?.name, error.message)))
        }
    }

    private fun show(next: Screen) {
        screen = next
        screens.postValue(next)
    }

    private fun text(id: Int, vararg values: Any?) =
        getApplication<Application>().getString(id, *values)

    private companion object {
        const val STILL_RUNS = 6
        const val FRAMES_FOR_EACH_BASELINE = 8
    }
}
