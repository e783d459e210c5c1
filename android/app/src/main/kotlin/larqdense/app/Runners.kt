package larqdense.app

import larqdense.vision.dequantized
import larqdense.vision.quantized
import larqdense.xnor.XnorDelegate
import larqdense.xnor.XnorEngine
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import java.nio.ByteBuffer
import java.nio.ByteOrder

/**
 * LiteRT's interpreter.
 *
 * @param delegate What runs Larq Compute Engine's operators; the runner closes it.
 */
class LiteRtRunner(file: ByteBuffer, threads: Int, private val delegate: XnorDelegate?) : Runner {
    private val interpreter = try {
        val options = Interpreter.Options().setNumThreads(threads)
        delegate?.let(options::addDelegate)
        Interpreter(file, options)
    } catch (error: Exception) {
        delegate?.close()
        throw error
    }
    private val inputTensor = end { it.getInputTensor(0) }
    private val outputTensor = end { it.getOutputTensor(0) }
    private val input = direct(inputTensor.numBytes())
    private val output = direct(outputTensor.numBytes())

    override val inputs = input.capacity() / inputTensor.valueBytes
    override val outputShape: IntArray = outputTensor.shape()

    override fun run(picture: FloatArray): FloatArray {
        input.put(inputTensor, picture)
        output.rewind()
        interpreter.run(input.rewind(), output)
        return output.values(outputTensor)
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    // A network may have no inputs or outputs.
    private fun end(find: (Interpreter) -> Tensor): Tensor = try {
        find(interpreter)
    } catch (error: Exception) {
        close()
        throw error
    }

    private companion object {
        val Tensor.isInt8 get() = dataType() == DataType.INT8
        val Tensor.valueBytes get() = if (isInt8) 1 else 4

        fun ByteBuffer.put(tensor: Tensor, values: FloatArray) {
            rewind()
            val range = tensor.quantizationParams()
            if (tensor.isInt8) put(quantized(values, range.scale, range.zeroPoint))
            else asFloatBuffer().put(values)
        }

        fun ByteBuffer.values(tensor: Tensor): FloatArray {
            rewind()
            if (!tensor.isInt8) return FloatArray(capacity() / 4).also { asFloatBuffer().get(it) }
            val range = tensor.quantizationParams()
            val bytes = ByteArray(capacity()).also { get(it) }
            return dequantized(bytes, range.scale, range.zeroPoint)
        }
    }
}

/** This project's own engine, which runs all-int8 files without LiteRT. */
class EngineRunner(file: ByteBuffer, threads: Int) : Runner {
    private val engine = XnorEngine(file, threads)
    private val input = direct(engine.input.bytes)
    private val output = direct(engine.output.bytes)

    override val inputs = engine.input.bytes
    override val outputShape = engine.output.shape

    override fun run(picture: FloatArray): FloatArray {
        input.rewind()
        input.put(quantized(picture, engine.input.scale, engine.input.zeroPoint))
        engine.run(input, output)
        output.rewind()
        val bytes = ByteArray(output.capacity()).also { output.get(it) }
        return dequantized(bytes, engine.output.scale, engine.output.zeroPoint)
    }

    override fun close() = engine.close()
}

private fun direct(bytes: Int): ByteBuffer =
    ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())
