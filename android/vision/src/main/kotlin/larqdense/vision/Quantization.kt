package larqdense.vision

import kotlin.math.floor

/** Returns values as int8 steps of a scale; halves go up, as in the networks' training. */
fun quantized(values: FloatArray, scale: Float, zeroPoint: Int): ByteArray =
    ByteArray(values.size) {
        val step = floor(values[it] / scale + 0.5f).toInt() + zeroPoint
        step.coerceIn(-128, 127).toByte()
    }

/** Returns what int8 steps of a scale are worth. */
fun dequantized(steps: ByteArray, scale: Float, zeroPoint: Int): FloatArray =
    FloatArray(steps.size) { (steps[it] - zeroPoint) * scale }
