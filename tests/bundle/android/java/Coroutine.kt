import android.content.Context
import edgeort.m.EdgeortModel
import edgeort.m.Tensor
import edgeort.m.run
import java.io.File
import java.util.concurrent.CountDownLatch
import kotlin.coroutines.Continuation
import kotlin.coroutines.EmptyCoroutineContext
import kotlin.coroutines.startCoroutine

/** What an app's coroutines may do, without a library of dispatchers: they go on where the model's thread ends. */
fun main(arguments: Array<String>) {
    val context = Context(File(arguments[1]), arguments[2].toLong(), arguments[3].toLong())
    val ended = CountDownLatch(1)
    val end = Continuation<Unit>(EmptyCoroutineContext) { result ->
        result.exceptionOrNull()?.printStackTrace()
        ended.countDown()
    }
    suspend { story(context) }.startCoroutine(end)
    ended.await()
}

private suspend fun story(context: Context) {
    val values = FloatArray(8) { it + 1f }
    val model = EdgeortModel.open(context, 2)
    model.use {
        println("tensor: " + text(model.run(Tensor.of(values, 1, 8))))
        println("floats: " + text(model.run(values, 1, 8)))
        attempt { model.run(values) }
        attempt { model.run(values, 2, 4) }
    }
    attempt { model.run(values, 1, 8) }
}

private fun text(outputs: List<Tensor>): String = outputs[0].floats().joinToString(" ") { it.toRawBits().toString() }

private suspend fun attempt(work: suspend () -> Any) {
    try {
        println(work())
    } catch (error: RuntimeException) {
        println("error: $error")
    }
}
