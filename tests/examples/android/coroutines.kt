package kotlinx.coroutines

interface CoroutineScope

object Dispatchers {
    val IO: Any = TODO()
}

fun MainScope(): CoroutineScope = TODO()

fun CoroutineScope.cancel(): Unit = TODO()

fun CoroutineScope.launch(block: suspend CoroutineScope.() -> Unit): Unit = TODO()

suspend fun <T> withContext(context: Any, block: suspend CoroutineScope.() -> T): T = TODO()
