package larqdense.vision

import kotlin.math.abs

/**
 * Bilinear resampling, antialiased where the size shrinks, with the very roundings of Pillow, which
 * trained the networks: labels on a phone then equal those on a PC.
 */
internal fun Picture.resized(width: Int, height: Int): Picture = withWidth(width).withHeight(height)

internal fun Plane.resized(width: Int, height: Int): Plane = withWidth(width).withHeight(height)

private fun Picture.withWidth(target: Int): Picture {
    if (target == width) return this
    val taps = taps(width, target)
    return Picture(target, height, IntArray(target * height) {
        val tap = taps[it % target]
        tap.blend(pixels, it / target * width + tap.first, 1)
    })
}

private fun Picture.withHeight(target: Int): Picture {
    if (target == height) return this
    val taps = taps(height, target)
    return Picture(width, target, IntArray(width * target) {
        val tap = taps[it / width]
        tap.blend(pixels, tap.first * width + it % width, width)
    })
}

private fun Plane.withWidth(target: Int): Plane {
    if (target == width) return this
    val taps = taps(width, target)
    return Plane(target, height, FloatArray(target * height) {
        val tap = taps[it % target]
        tap.blend(values, it / target * width + tap.first, 1)
    })
}

private fun Plane.withHeight(target: Int): Plane {
    if (target == height) return this
    val taps = taps(height, target)
    return Plane(width, target, FloatArray(width * target) {
        val tap = taps[it / width]
        tap.blend(values, tap.first * width + it % width, width)
    })
}

private const val FIXED_POINT_BITS = 22

/** The neighbours from which one output pixel is blended, along one axis. */
private class Tap(val first: Int, private val weights: DoubleArray) {
    private val fixed =
        IntArray(weights.size) { (0.5 + weights[it] * (1 shl FIXED_POINT_BITS)).toInt() }

    fun blend(pixels: IntArray, start: Int, step: Int): Int {
        var red = 1 shl (FIXED_POINT_BITS - 1)
        var green = red
        var blue = red
        var index = start
        for (weight in fixed) {
            val pixel = pixels[index]
            red += (pixel shr 16 and 0xFF) * weight
            green += (pixel shr 8 and 0xFF) * weight
            blue += (pixel and 0xFF) * weight
            index += step
        }
        return OPAQUE or (byte(red) shl 16) or (byte(green) shl 8) or byte(blue)
    }

    fun blend(values: FloatArray, start: Int, step: Int): Float {
        var sum = 0.0
        var index = start
        for (weight in weights) {
            sum += values[index] * weight
            index += step
        }
        return sum.toFloat()
    }

    private fun byte(sum: Int) = (sum shr FIXED_POINT_BITS).coerceIn(0, 255)
}

internal const val OPAQUE = 0xFF shl 24

private fun taps(source: Int, target: Int): Array<Tap> {
    val scale = source.toDouble() / target
    val reach = maxOf(scale, 1.0)
    return Array(target) {
        val center = (it + 0.5) * scale
        val first = (center - reach + 0.5).toInt().coerceAtLeast(0)
        val end = (center + reach + 0.5).toInt().coerceAtMost(source)
        val weights = DoubleArray(end - first) { k ->
            maxOf(0.0, 1.0 - abs((k + first - center + 0.5) * (1.0 / reach)))
        }
        val total = weights.sum()
        Tap(first, DoubleArray(weights.size) { k -> weights[k] / total })
    }
}
