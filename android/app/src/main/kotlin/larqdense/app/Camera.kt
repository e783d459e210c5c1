package larqdense.app

import androidx.activity.ComponentActivity
import androidx.camera.core.CameraSelector
import androidx.camera.core.ImageAnalysis
import androidx.camera.lifecycle.ProcessCameraProvider
import java.util.concurrent.Executor

/** Sends the camera's newest frames to an analyzer for as long as an activity is on screen. */
class Camera(private val activity: ComponentActivity) {
    private var provider: ProcessCameraProvider? = null
    private var wanted = false

    fun start(worker: Executor, analyzer: ImageAnalysis.Analyzer, fail: (Exception) -> Unit) {
        wanted = true
        val opening = ProcessCameraProvider.getInstance(activity)
        opening.addListener({
            try {
                // The user may have turned to the gallery in the meantime.
                if (wanted) bind(opening.get(), worker, analyzer)
            } catch (error: Exception) {
                fail(error)
            }
        }, activity.mainExecutor)
    }

    fun stop() {
        wanted = false
        provider?.unbindAll()
    }

    private fun bind(
        opened: ProcessCameraProvider,
        worker: Executor,
        analyzer: ImageAnalysis.Analyzer,
    ) {
        provider = opened
        val analysis = ImageAnalysis.Builder()
            .setBackpressureStrategy(ImageAnalysis.STRATEGY_KEEP_ONLY_LATEST)
            .setOutputImageFormat(ImageAnalysis.OUTPUT_IMAGE_FORMAT_RGBA_8888)
            .setOutputImageRotationEnabled(true)
            .build()
        analysis.setAnalyzer(worker, analyzer)
        val back = CameraSelector.DEFAULT_BACK_CAMERA
        val selector = if (opened.hasCamera(back)) back else CameraSelector.DEFAULT_FRONT_CAMERA
        opened.unbindAll()
        opened.bindToLifecycle(activity, selector, analysis)
    }
}
