package edgeort.model

import android.graphics.Bitmap
import java.util.concurrent.CompletableFuture
import kotlin.coroutines.resume
import kotlin.coroutines.resumeWithException
import kotlin.coroutines.suspendCoroutine

/**
 * Runs the model on a thread of its own; the coroutine goes on, where its dispatcher says, when the outputs are there.
 *
 * Throws what [EdgeortModel.runHere] throws.
 */
suspend fun EdgeortModel.run(vararg inputs: Tensor): List<Tensor> = runAsync(*inputs).await()

/** The same for a model of one input of float32. Without a shape it is the model's own, where that is fixed. */
suspend fun EdgeortModel.run(values: FloatArray, vararg shape: Long): List<Tensor> =
    run(Tensor.of(values, *(if (shape.isEmpty()) fixedShape() else shape)))

/** The same for a model that takes one picture, uint8 of `[height, width, 3]`. */
suspend fun EdgeortModel.run(picture: Bitmap): List<Tensor> = runAsync(picture).await()

private fun EdgeortModel.fixedShape(): LongArray {
    val shape = inputs()[0].shape()
    if (shape == null || shape.any { it < 0 }) throw EdgeortException.invalid("give the shape of ${inputs()[0]}")
    return shape
}

private suspend fun <T> CompletableFuture<T>.await(): T = suspendCoroutine { continuation ->
    whenComplete { value, error ->
        if (error == null) continuation.resume(value) else continuation.resumeWithException(error)
    }
}
