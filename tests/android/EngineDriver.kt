package larqdense.xnor

import java.io.File
import java.nio.ByteBuffer

/** Goes through an engine's life, for test_delegate.py: network, picture and logits are files. */
fun main(arguments: Array<String>) {
    val (network, picture, logits) = arguments.map(::File)
    val engine = XnorEngine(network.direct(), 2)
    println("${engine.input.shape.toList()} ${engine.input.scale} ${engine.input.zeroPoint}")
    val output = ByteBuffer.allocateDirect(engine.output.bytes)
    engine.run(picture.direct(), output)
    logits.writeBytes(ByteArray(output.capacity()).also { output.get(it) })
    println(runCatching { engine.run(ByteBuffer.allocateDirect(1), output) }.exceptionOrNull())
    engine.close()
    engine.close()
    println(runCatching { engine.run(picture.direct(), output) }.exceptionOrNull())
    println(runCatching { XnorEngine(ByteBuffer.allocate(8)) }.exceptionOrNull())
    val damaged = runCatching { XnorEngine(ByteBuffer.allocateDirect(8)) }.exceptionOrNull()
    println(damaged is IllegalArgumentException && !damaged.message.isNullOrEmpty())
}

private fun File.direct(): ByteBuffer {
    val bytes = readBytes()
    return ByteBuffer.allocateDirect(bytes.size).also { it.put(bytes).rewind() }
}
