package larqdense.vision

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Does on the JVM what the app does, for test_vision.py. */
fun main(arguments: Array<String>) {
    val rest = arguments.drop(1)
    when (arguments[0]) {
        "label" -> rest.forEach { label(File(it)) }
        "read" -> File(rest[0]).listFiles()!!.sorted().forEach { println(describe(it.readBytes())) }
        "entries" -> findEntries(rest).forEach { println("${it.name} ${it.file} ${it.baseline}") }
    }
}

private fun label(folder: File) {
    val spec = ModelSpec.read(ByteBuffer.wrap(File(folder, "model.tflite").readBytes()))
    val picture = File(folder, "picture.bin").buffer().let { data ->
        Picture(data.getInt(), data.getInt(), IntArray(data.remaining() / 4) { data.getInt() })
    }
    val logits = File(folder, "logits.bin").buffer().let { data ->
        val (height, width, channels) = List(3) { data.getInt() }
        val values = FloatArray(data.remaining() / 4) { data.getFloat() }
        Logits(height, width, channels, values)
    }
    val input = spec.input(picture)
    val labels = spec.labels(logits, picture.width, picture.height)
    val overlay = spec.overlay(picture, labels)
    val bytes = ByteBuffer.allocate(4 * input.size).order(ByteOrder.LITTLE_ENDIAN)
    input.forEach(bytes::putFloat)
    File(folder, "input.bin").writeBytes(bytes.array())
    File(folder, "labels.bin").writeBytes(labels)
    val pixels = ByteBuffer.allocate(4 * overlay.pixels.size).order(ByteOrder.LITTLE_ENDIAN)
    overlay.pixels.forEach(pixels::putInt)
    File(folder, "overlay.bin").writeBytes(pixels.array())
}

private fun File.buffer() = ByteBuffer.wrap(readBytes()).order(ByteOrder.LITTLE_ENDIAN)

private fun describe(file: ByteArray): String = try {
    val spec = ModelSpec.read(ByteBuffer.wrap(file))
    val classes = spec.classes.map { "${it.name}=${it.color}" }
    listOf(
        spec.name, spec.task, spec.saliency, classes, spec.height, spec.width, spec.mean, spec.std,
        spec.outputs, spec.description,
    ).joinToString("|")
} catch (error: ModelFileException) {
    "refused: ${error.message}"
}
