package android.graphics

import java.io.InputStream

object BitmapFactory {
    @JvmStatic
    fun decodeStream(stream: InputStream): Bitmap? = TODO()
}
