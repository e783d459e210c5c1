package larqdense.vision

/**
 * An entry among the app's assets.
 *
 * @property file The binary network.
 * @property baseline Its full-precision baseline in int8, or null.
 */
data class Entry(val name: String, val file: String, val baseline: String?) {
    /** Whether the network computes in integers and bits alone. */
    val allInteger get() = file.endsWith(INT8)
}

private const val FILE = ".tflite"
private const val INT8 = "_int8.tflite"
private const val BASELINE = "_random_baseline_int8.tflite"

/**
 * Returns the entries among file names, as `larq-dense convert --android` gives them: first the
 * all-integer ones, which are faster, each kind in the order of its names.
 */
fun findEntries(names: Iterable<String>): List<Entry> {
    val (baselines, files) = names.filter { it.endsWith(FILE) }.sorted().partition { it.endsWith(BASELINE) }
    val entries = files.map {
        val name = it.removeSuffix(FILE)
        Entry(name, it, baselines.find { baseline -> baseline == name + BASELINE })
    }
    return entries.sortedByDescending { it.allInteger }
}
