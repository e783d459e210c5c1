package larqdense.vision

import java.nio.ByteBuffer

/** One class of a label map; `color` is `0xRRGGBB`, and black leaves the picture as it is. */
data class LabelClass(val name: String, val color: Int)

/**
 * What a model is for and how pictures go in and out, as its file tells.
 *
 * @property saliency Whether one logit decides between two classes; else each class has its own.
 * @property mean Subtracted from each of red, green and blue, in 0…255.
 * @property std Divided by afterwards.
 * @property letterbox Whether a picture keeps its shape, in the middle of black; else it is
 *   stretched to the input.
 */
data class ModelSpec(
    val name: String,
    val task: String,
    val saliency: Boolean,
    val classes: List<LabelClass>,
    val height: Int,
    val width: Int,
    val mean: List<Float>,
    val std: List<Float>,
    val description: String,
    val letterbox: Boolean = false,
) {
    /** Channels of the logits. */
    val outputs: Int get() = if (saliency) 1 else classes.size

    companion object {
        /**
         * Reads the description that `larq-dense convert` writes into a `.tflite` file.
         *
         * @throws ModelFileException There is none, or it is damaged.
         */
        fun read(file: ByteBuffer): ModelSpec {
            val json = readMetadata(file, "larq_dense") ?: throw ModelFileException(
                "it has no metadata (classes, normalization); make it by larq-dense convert."
            )
            try {
                return fromJson(parseJson(json.decodeToString()).members())
            } catch (error: IllegalArgumentException) {
                throw ModelFileException("its description is damaged: ${error.message}.")
            }
        }
    }
}

private fun fromJson(values: Map<*, *>): ModelSpec {
    val kind = values.text("kind")
    require(kind == "segmentation" || kind == "saliency") { "kind is $kind" }
    val classes = values.list("classes").map { labelClass(it.members()) }
    val fits = if (kind == "saliency") classes.size == 2 else classes.isNotEmpty()
    require(fits) { "$kind with ${classes.size} classes" }
    val input = values["preprocessing"].members()
    val fit = input["fit"] ?: "stretch"
    require(fit == "stretch" || fit == "letterbox") { "fit is $fit" }
    return ModelSpec(
        name = values.text("name"),
        task = values.text("task"),
        saliency = kind == "saliency",
        classes = classes,
        height = input["height"].number().toInt(),
        width = input["width"].number().toInt(),
        mean = input.triple("mean").map { it.toFloat() },
        std = input.triple("std").map { it.toFloat() },
        description = values["description"] as? String ?: "",
        letterbox = fit == "letterbox",
    )
}

private fun labelClass(values: Map<*, *>): LabelClass {
    val color = values.triple("color").fold(0) { color, part ->
        require(part in 0.0..255.0) { "a colour of $part" }
        color shl 8 or part.toInt()
    }
    return LabelClass(values.text("name"), color)
}

private fun Any?.members() = requireNotNull(this as? Map<*, *>) { "an object is missing" }

private fun Any?.number() = requireNotNull(this as? Double) { "a number is missing" }

private fun Map<*, *>.text(key: String) = requireNotNull(this[key] as? String) { "$key is missing" }

private fun Map<*, *>.list(key: String) =
    requireNotNull(this[key] as? List<*>) { "$key is missing" }

private fun Map<*, *>.triple(key: String): List<Double> {
    val numbers = list(key).map { it.number() }
    require(numbers.size == 3) { "$key has ${numbers.size} values" }
    return numbers
}
