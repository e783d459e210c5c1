package larqdense.vision

/** Returns a picture as the network takes it: resized, normalized, row by row. */
fun ModelSpec.input(picture: Picture): FloatArray {
    val pixels = placed(picture)
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

/** Returns the input's pixels: the picture at its size, and black where it does not reach. */
private fun ModelSpec.placed(picture: Picture): IntArray {
    val area = area(picture.width, picture.height)
    val pixels = picture.resized(area.width, area.height).pixels
    if (!letterbox) return pixels
    val result = IntArray(width * height)
    for (y in 0 until area.height) {
        val from = y * area.width
        pixels.copyInto(result, (area.top + y) * width + area.left, from, from + area.width)
    }
    return result
}

/** Where in the network's input a picture lies. */
private class Area(val left: Int, val top: Int, val width: Int, val height: Int)

private fun ModelSpec.area(pictureWidth: Int, pictureHeight: Int): Area {
    var (columns, rows) = width to height
    if (letterbox) {
        if (height.toLong() * pictureWidth <= width.toLong() * pictureHeight) {
            columns = share(pictureWidth, height, pictureHeight)
        } else {
            rows = share(pictureHeight, width, pictureWidth)
        }
    }
    return Area((width - columns) / 2, (height - rows) / 2, columns, rows)
}

/** Returns `side * part / whole` as a whole number, a half rounded up, and at least 1. */
private fun share(side: Int, part: Int, whole: Int): Int =
    ((2L * side * part + whole) / (2L * whole)).toInt().coerceAtLeast(1)

/** Returns one channel of the logits at the size of a picture of `width` by `height`. */
private fun ModelSpec.scores(logits: Logits, channel: Int, width: Int, height: Int): FloatArray {
    val plane = logits.plane(channel)
    if (!letterbox) return plane.resized(width, height).values
    val whole = plane.resized(this.width, this.height)
    val area = area(width, height)
    val cut = FloatArray(area.width * area.height) {
        whole.values[(area.top + it / area.width) * whole.width + area.left + it % area.width]
    }
    return Plane(area.width, area.height, cut).resized(width, height).values
}

/** Returns the class of each pixel of a picture of `width` by `height`, row by row. */
fun ModelSpec.labels(logits: Logits, width: Int, height: Int): ByteArray {
    val best = scores(logits, 0, width, height)
    if (saliency) return ByteArray(best.size) { if (best[it] >= 0) 1 else 0 }
    val labels = ByteArray(best.size)
    for (channel in 1 until logits.channels) {
        val scores = scores(logits, channel, width, height)
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
