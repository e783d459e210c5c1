package larqdense.vision

/** Returns a picture as the network takes it: resized, normalized, row by row. */
fun ModelSpec.input(picture: Picture): FloatArray {
    val pixels = picture.resized(width, height).pixels
    val result = FloatArray(3 * pixels.size)
    for (channel in 0..2) {
        val shift = 16 - 8 * channel
        for (index in pixels.indices) {
            val value = pixels[index] shr shift and 0xFF
            result[3 * index + channel] = (value.toFloat() - mean[channel]) / std[channel]
        }
    }
    return result
}

/** Returns the class of each pixel of a picture of `width` by `height`, row by row. */
fun ModelSpec.labels(logits: Logits, width: Int, height: Int): ByteArray {
    val best = logits.plane(0).resized(width, height).values
    if (saliency) return ByteArray(best.size) { if (best[it] >= 0) 1 else 0 }
    val labels = ByteArray(best.size)
    for (channel in 1 until logits.channels) {
        val scores = logits.plane(channel).resized(width, height).values
        for (index in scores.indices) {
            if (scores[index] > best[index]) {
                best[index] = scores[index]
                labels[index] = channel.toByte()
            }
        }
    }
    return labels
}

/** Returns the picture with the classes' colours laid over it, half and half. */
fun ModelSpec.overlay(picture: Picture, labels: ByteArray): Picture {
    val pixels = IntArray(labels.size) {
        val color = classes[labels[it].toInt() and 0xFF].color
        OPAQUE or if (color == 0) picture.pixels[it] else halfway(picture.pixels[it], color)
    }
    return Picture(picture.width, picture.height, pixels)
}

private fun halfway(pixel: Int, color: Int): Int =
    halfway(pixel, color, 16) or halfway(pixel, color, 8) or halfway(pixel, color, 0)

private fun halfway(pixel: Int, color: Int, shift: Int): Int {
    val sum = (pixel shr shift and 0xFF) + (color shr shift and 0xFF)
    // A half goes to the even neighbour, as NumPy rounds.
    return (sum / 2 + (sum and sum / 2 and 1)) shl shift
}
