package larqdense.vision

/**
 * Reads a JSON document: objects become maps, arrays lists, numbers doubles.
 *
 * Android has a reader of its own, but not the plain JVM on which this module is tested.
 *
 * @throws IllegalArgumentException It is no JSON.
 */
internal fun parseJson(text: String): Any? = JsonReader(text).document()

private class JsonReader(private val text: String) {
    private var position = 0
    private var depth = 0

    fun document(): Any? {
        val result = value()
        if (next() != END) fail()
        return result
    }

    private fun value(): Any? = when (next()) {
        '{' -> members()
        '[' -> items()
        '"' -> string()
        't' -> word("true", true)
        'f' -> word("false", false)
        'n' -> word("null", null)
        else -> number()
    }

    private fun members(): Map<String, Any?> {
        val result = LinkedHashMap<String, Any?>()
        list('}') {
            if (next() != '"') fail()
            val key = string()
            if (next() != ':') fail()
            position++
            result[key] = value()
        }
        return result
    }

    private fun items(): List<Any?> {
        val result = ArrayList<Any?>()
        list(']') { result += value() }
        return result
    }

    private inline fun list(close: Char, item: () -> Unit) {
        // Deeper ones would overflow the stack, which is no exception that a caller catches.
        if (++depth > MAX_DEPTH) fail()
        position++
        if (next() != close) {
            item()
            while (next() == ',') {
                position++
                item()
            }
            if (next() != close) fail()
        }
        position++
        depth--
    }

    private fun string(): String {
        val result = StringBuilder()
        while (true) {
            when (val char = text.getOrElse(++position) { fail() }) {
                '"' -> { position++; return result.toString() }
                '\\' -> result.append(escaped())
                else -> result.append(char)
            }
        }
    }

    private fun escaped(): Char = when (val char = text.getOrElse(++position) { fail() }) {
        'b' -> '\b'
        'f' -> '\u000C'
        'n' -> '\n'
        'r' -> '\r'
        't' -> '\t'
        'u' -> {
            val digits = text.substring(position + 1, minOf(position + 5, text.length))
            position += 4
            digits.takeIf { it.length == 4 }?.toIntOrNull(16)?.toChar() ?: fail()
        }
        '"', '\\', '/' -> char
        else -> fail()
    }

    private fun number(): Double {
        val start = position
        while (position < text.length && text[position] in "+-.0123456789eE") position++
        return text.substring(start, position).toDoubleOrNull() ?: fail()
    }

    private fun <T> word(word: String, value: T): T {
        if (!text.startsWith(word, position)) fail()
        position += word.length
        return value
    }

    /** Skips white space and returns the next character without taking it. */
    private fun next(): Char {
        while (position < text.length && text[position] in " \t\r\n") position++
        return text.getOrElse(position) { END }
    }

    private fun fail(): Nothing = throw IllegalArgumentException("no JSON at character $position")

    private companion object {
        const val END = '\u0000'
        const val MAX_DEPTH = 50
    }
}
