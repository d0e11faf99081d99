package android.widget

import android.content.Context
import android.graphics.Bitmap
import android.view.View

open class TextView(context: Context) : View() {
    var text: CharSequence? = null

    fun setText(resource: Int) {}
}

class Button(context: Context) : TextView(context)

class ImageView(context: Context) : View() {
    fun setImageBitmap(bitmap: Bitmap) {}
}

class LinearLayout(context: Context) : View() {
    var orientation = 0

    fun addView(view: View) {}

    companion object {
        const val VERTICAL = 1
    }
}
