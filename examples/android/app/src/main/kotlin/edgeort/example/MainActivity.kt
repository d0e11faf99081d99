package edgeort.example

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import edgeort.classifier.EdgeortException
import edgeort.classifier.EdgeortModel
import edgeort.classifier.run
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext

/** A picture from the camera or the gallery, and the classes that the model finds in it. */
class MainActivity : Activity() {
    private val scope = MainScope()
    private lateinit var picture: ImageView
    private lateinit var answer: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        picture = ImageView(this)
        answer = TextView(this)
        val page = LinearLayout(this)
        page.orientation = LinearLayout.VERTICAL
        page.addView(button(R.string.camera) { startActivityForResult(Intent(MediaStore.ACTION_IMAGE_CAPTURE), CAMERA) })
        page.addView(
            button(R.string.gallery) {
                startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), GALLERY)
            },
        )
        page.addView(answer)
        page.addView(picture)
        setContentView(page)
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    @Deprecated("Deprecated in Java")
    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        if (result != RESULT_OK || data == null) return
        scope.launch {
            try {
                val taken = if (request == CAMERA) data.extras?.get("data") as Bitmap? else data.data?.let { read(it) }
                if (taken != null) classify(taken)
            } catch (error: IOException) {
                answer.text = error.message
            } catch (error: EdgeortException) {
                answer.text = error.message
            }
        }
    }

    private suspend fun classify(taken: Bitmap) {
        picture.setImageBitmap(taken)
        val (label, score) = opened().run(taken)
        val scores = score.floats()
        answer.text = label.strings().withIndex().joinToString("\n") { (at, name) -> "$name: ${scores[at]}" }
    }

    private suspend fun opened(): EdgeortModel =
        opening.withLock {
            model ?: withContext(Dispatchers.IO) { EdgeortModel.open(this@MainActivity).also { model = it } }
        }

    private suspend fun read(uri: Uri): Bitmap? =
        withContext(Dispatchers.IO) {
            contentResolver.openInputStream(uri)?.use { BitmapFactory.decodeStream(it) }
        }

    private fun button(text: Int, clicked: () -> Unit): Button {
        val made = Button(this)
        made.setText(text)
        made.setOnClickListener { clicked() }
        return made
    }

    /** The model lasts as long as the process: a turn of the phone makes a new activity while a run may go on. */
    private companion object {
        const val CAMERA = 1
        const val GALLERY = 2
        val opening = Mutex()

        @Volatile
        var model: EdgeortModel? = null
    }
}
