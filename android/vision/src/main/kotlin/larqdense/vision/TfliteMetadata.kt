package larqdense.vision

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** A model file that cannot be used; the message is a sentence for people. */
class ModelFileException(message: String) : Exception(message)

/**
 * Returns a named byte string among the metadata of a `.tflite` file, or null.
 *
 * The file is a FlatBuffer of TensorFlow Lite's schema; field numbers below are that schema's.
 *
 * @throws ModelFileException It is no `.tflite` file, or a damaged one.
 */
internal fun readMetadata(file: ByteBuffer, name: String): ByteArray? {
    val data = file.duplicate().order(ByteOrder.LITTLE_ENDIAN)
    try {
        if (data.getInt(4) != IDENTIFIER) throw ModelFileException("it is not a TFLite model.")
        val model = Table(data, data.getInt(0))
        val entries = model.tables(MODEL_METADATA)
        val entry = entries.find { it.bytes(0).decodeToString() == name } ?: return null
        val buffer = model.tables(MODEL_BUFFERS).getOrNull(entry.int(1)) ?: throw damaged()
        // Since 2023 a buffer may lie behind the FlatBuffer, by offset and size.
        val offset = buffer.long(1)
        return if (offset > 1) data.slice(offset, buffer.long(2)) else buffer.bytes(0)
    } catch (_: IndexOutOfBoundsException) {
        throw damaged()
    }
}

private fun damaged() = ModelFileException("it is truncated or damaged.")

private const val IDENTIFIER = 0x334C4654 // "TFL3"
private const val MODEL_BUFFERS = 4
private const val MODEL_METADATA = 6

private fun ByteBuffer.slice(start: Long, size: Long): ByteArray {
    if (start < 0 || size < 0 || start > limit() - size) throw IndexOutOfBoundsException()
    return ByteArray(size.toInt()).also { duplicate().position(start.toInt()).get(it) }
}

/** A FlatBuffers table: fields by their number in the schema. */
private class Table(private val data: ByteBuffer, private val position: Int) {
    private val vtable = position - data.getInt(position)
    private val size = data.getShort(vtable).toInt() and 0xFFFF

    fun int(field: Int): Int = find(field)?.let(data::getInt) ?: 0

    fun long(field: Int): Long = find(field)?.let(data::getLong) ?: 0

    fun bytes(field: Int): ByteArray {
        val start = vector(field) ?: return ByteArray(0)
        return data.slice(start + 4L, data.getInt(start).toLong())
    }

    fun tables(field: Int): List<Table> {
        val start = vector(field) ?: return emptyList()
        val count = data.getInt(start)
        if (count !in 0..data.limit() / 4) throw IndexOutOfBoundsException()
        return List(count) { Table(data, follow(start + 4 + 4 * it)) }
    }

    private fun vector(field: Int): Int? = find(field)?.let(::follow)

    private fun follow(at: Int): Int = at + data.getInt(at)

    private fun find(field: Int): Int? {
        val slot = 4 + 2 * field
        if (slot + 2 > size) return null
        val offset = data.getShort(vtable + slot).toInt() and 0xFFFF
        return if (offset == 0) null else position + offset
    }
}
