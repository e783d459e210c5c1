package larqdense.vision

/**
 * A picture, row by row.
 *
 * @property pixels One word a pixel, `0xAARRGGBB`, as in Android's `Bitmap.getPixels`.
 */
class Picture(val width: Int, val height: Int, val pixels: IntArray)

/**
 * What a network gives for a picture.
 *
 * @property values Row by row, for each place one number a channel.
 */
class Logits(val height: Int, val width: Int, val channels: Int, val values: FloatArray) {
    internal fun plane(channel: Int) =
        Plane(width, height, FloatArray(width * height) { values[it * channels + channel] })
}

/** One channel of logits, row by row. */
internal class Plane(val width: Int, val height: Int, val values: FloatArray)
