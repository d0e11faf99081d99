package kotlinx.coroutines.sync

class Mutex

suspend inline fun <T> Mutex.withLock(action: () -> T): T = action()
