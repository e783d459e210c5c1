package larqdense.app

import android.Manifest
import android.content.pm.PackageManager
import android.os.Bundle
import android.text.SpannableStringBuilder
import android.text.style.ForegroundColorSpan
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.ImageView
import android.widget.Spinner
import android.widget.Switch
import android.widget.TextView
import androidx.activity.ComponentActivity
import androidx.activity.result.PickVisualMediaRequest
import androidx.activity.result.contract.ActivityResultContracts
import androidx.activity.result.contract.ActivityResultContracts.PickVisualMedia
import androidx.activity.viewModels
import larqdense.vision.LabelClass

/** Labels what the camera sees, or a picture of the gallery, and shows how long that takes. */
class MainActivity : ComponentActivity() {
    private val model: LabelModel by viewModels()
    private val camera = Camera(this)
    private val askForCamera =
        registerForActivityResult(ActivityResultContracts.RequestPermission()) { granted ->
            if (granted) startCamera() else model.say(getString(R.string.camera_refused))
        }
    private val pickPicture = registerForActivityResult(PickVisualMedia()) { uri ->
        if (uri != null) {
            model.live = false
            camera.stop()
            model.open(uri)
        }
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.activity_main)
        findViewById<View>(R.id.camera).setOnClickListener { useCamera() }
        findViewById<View>(R.id.gallery).setOnClickListener {
            pickPicture.launch(PickVisualMediaRequest(PickVisualMedia.ImageOnly))
        }
        with(findViewById<Switch>(R.id.engine)) {
            isChecked = model.engine
            setOnCheckedChangeListener { _, checked ->
                model.engine = checked
                choose()
            }
        }
        val counts = THREADS.map { resources.getQuantityString(R.plurals.thread_count, it, it) }
        fill(R.id.threads, counts, model.threadsAt) { model.threadsAt = it }
        model.entries.observe(this) { entries ->
            fill(R.id.entry, entries.map { it.name }, model.entryAt) { model.entryAt = it }
        }
        model.screenState.observe(this, ::show)
        if (model.live) useCamera()
    }

    private fun useCamera() {
        model.live = true
        val granted = checkSelfPermission(Manifest.permission.CAMERA)
        if (granted == PackageManager.PERMISSION_GRANTED) startCamera()
        else askForCamera.launch(Manifest.permission.CAMERA)
    }

    private fun startCamera() = camera.start(model.worker, model::analyze) { error ->
        model.say(getString(R.string.no_camera, error.message))
    }

    private fun fill(id: Int, items: List<String>, selected: Int, keep: (Int) -> Unit) {
        val layout = android.R.layout.simple_spinner_dropdown_item
        val spinner = findViewById<Spinner>(id)
        spinner.adapter = ArrayAdapter(this, layout, items)
        spinner.setSelection(selected)
        spinner.onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
            override fun onItemSelected(parent: AdapterView<*>?, view: View?, at: Int, id: Long) {
                keep(at)
                choose()
            }

            override fun onNothingSelected(parent: AdapterView<*>?) = Unit
        }
    }

    private fun choose() {
        val entry = model.entries.value?.getOrNull(model.entryAt) ?: return
        model.choose(entry, Choice(THREADS[model.threadsAt], model.engine))
    }

    private fun show(screen: Screen) {
        findViewById<ImageView>(R.id.picture).setImageBitmap(screen.picture)
        findViewById<TextView>(R.id.legend).text = legend(screen.classes)
        findViewById<TextView>(R.id.xnor_time).text = time(screen.milliseconds)
        findViewById<TextView>(R.id.baseline_time).text = time(screen.baselineMilliseconds)
        with(findViewById<TextView>(R.id.message)) {
            text = screen.message
            visibility = if (screen.message == null) View.GONE else View.VISIBLE
        }
    }

    private fun time(milliseconds: Double?) =
        milliseconds?.let { getString(R.string.milliseconds, it) } ?: getString(R.string.no_time)

    private fun legend(classes: List<LabelClass>) = SpannableStringBuilder().apply {
        for (each in classes.filter { it.color != 0 }) {
            append("■", ForegroundColorSpan(OPAQUE or each.color), 0)
            append(" ${each.name}   ")
        }
    }

    private companion object {
        val THREADS = listOf(1, 2, 4)
        const val OPAQUE = 0xFF shl 24
    }
}
