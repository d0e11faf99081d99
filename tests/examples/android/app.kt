package android.app

import android.content.ContentResolver
import android.content.Context
import android.content.Intent
import android.content.res.AssetManager
import android.os.Bundle
import android.view.View

open class Activity : Context() {
    val contentResolver: ContentResolver = TODO()

    override fun getAssets(): AssetManager = TODO()

    protected open fun onCreate(state: Bundle?) {}

    protected open fun onDestroy() {}

    protected open fun onActivityResult(request: Int, result: Int, data: Intent?) {}

    fun setContentView(view: View) {}

    fun startActivityForResult(intent: Intent, request: Int) {}

    companion object {
        const val RESULT_OK = -1
    }
}
