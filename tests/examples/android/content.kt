package android.content

import android.net.Uri
import android.os.Bundle
import java.io.InputStream

class Intent(action: String) {
    val extras: Bundle? = TODO()
    val data: Uri? = TODO()

    fun setType(type: String): Intent = TODO()

    companion object {
        const val ACTION_GET_CONTENT = "android.intent.action.GET_CONTENT"
    }
}

class ContentResolver {
    fun openInputStream(uri: Uri): InputStream? = TODO()
}
