package larqdense.vision

/**
 * An entry among the app's assets.
 *
 * @property file The binary network.
 * @property twin Its full-precision twin in int8, or null.
 */
data class Entry(val name: String, val file: String, val twin: String?)

private const val FILE = ".tflite"
private const val TWIN = ".int8.tflite"

/** Returns the entries among file names, as `larq-dense convert --android` gives them, in order. */
fun findEntries(names: Iterable<String>): List<Entry> {
    val (twins, files) = names.filter { it.endsWith(FILE) }.sorted().partition { it.endsWith(TWIN) }
    return files.map {
        val name = it.removeSuffix(FILE)
        Entry(name, it, twins.find { twin -> twin == name + TWIN })
    }
}
