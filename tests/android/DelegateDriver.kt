package larqdense.xnor

/** Goes through a delegate's life, for test_delegate.py. */
fun main() {
    val delegate = XnorDelegate(2)
    println(delegate.nativeHandle != 0L)
    delegate.close()
    delegate.close()
    println(runCatching { delegate.nativeHandle }.exceptionOrNull())
    println(runCatching { XnorDelegate(-1) }.exceptionOrNull())
    XnorDelegate().use { println(it.nativeHandle != 0L) }
}
