package larqdense.app

import android.content.ContentResolver
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import larqdense.vision.Picture

private const val LONGEST_SIDE = 1280

fun Bitmap.toPicture(): Picture {
    val pixels = IntArray(width * height)
    getPixels(pixels, 0, width, 0, 0, width, height)
    return Picture(width, height, pixels)
}

fun Picture.toBitmap(): Bitmap = Bitmap.createBitmap(pixels, width, height, Bitmap.Config.ARGB_8888)

/** Reads a picture upright, made smaller where it is larger than a screen needs. */
fun ContentResolver.readPicture(uri: Uri): Picture {
    val source = ImageDecoder.createSource(this, uri)
    val bitmap = ImageDecoder.decodeBitmap(source) { decoder, info, _ ->
        decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        val longest = maxOf(info.size.width, info.size.height)
        decoder.setTargetSampleSize((longest + LONGEST_SIDE - 1) / LONGEST_SIDE)
    }
    return bitmap.toPicture()
}
