package edgeort.model;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.graphics.Bitmap;
import android.os.ParcelFileDescriptor;
import android.util.Log;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;

/**
 * The model, open. Any thread may call it; runs follow one another.
 *
 * <p>From Kotlin: {@code EdgeortModel.open(context).use { model -> model.run(Tensor.of(values, 1, 3, 224, 224)) }} in a
 * coroutine. Opening maps the plan and takes some milliseconds: not on the main thread.
 */
public final class EdgeortModel implements AutoCloseable {
    private static final String TAG = "edgeort";

    private final Object lock = new Object();
    private final ExecutorService worker;
    private final List<TensorInfo> inputs;
    private final List<TensorInfo> outputs;
    private long handle; // 0: closed
    private Tensor[] held; // the run reads their memory, and outputs may be views of it

    private EdgeortModel(long handle) {
        this.handle = handle;
        inputs = describe(false);
        outputs = describe(true);
        worker = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task, Bundled.LIBRARY);
            thread.setDaemon(true);
            return thread;
        });
    }

    /** The model of the package, with as many threads as the bundle has by default. */
    public static EdgeortModel open(Context context) {
        return open(context, Bundled.THREADS);
    }

    /** The same with that number of threads. EdgeortException where the asset is not there, or compressed. */
    public static EdgeortModel open(Context context, int threads) {
        try (AssetFileDescriptor asset = context.getAssets().openFd(Bundled.ASSET)) {
            return open(asset.getParcelFileDescriptor(), asset.getStartOffset(), asset.getLength(), threads);
        } catch (IOException error) {
            String help = "it must be in the app, and not compressed: androidResources { noCompress += \"plan\" }";
            throw new EdgeortException("asset " + Bundled.ASSET + ": " + error.getMessage() + "; " + help);
        }
    }

    /** Another plan for the same library, such as one with new weights. It must not change while the model is open. */
    public static EdgeortModel open(File plan, int threads) {
        try (ParcelFileDescriptor file = ParcelFileDescriptor.open(plan, ParcelFileDescriptor.MODE_READ_ONLY)) {
            return open(file, 0, plan.length(), threads);
        } catch (IOException error) {
            throw new EdgeortException(plan + ": " + error.getMessage());
        }
    }

    private static EdgeortModel open(ParcelFileDescriptor file, long offset, long length, int threads) {
        int most = Math.max(1, Runtime.getRuntime().availableProcessors());
        long handle = Native.open(file.getFd(), offset, length, Math.max(1, Math.min(threads, most)));
        if (Native.isCopied(handle)) {
            Log.i(TAG, "the plan lies at byte " + offset + " of its file, no multiple of 64: copied to memory");
        }
        try {
            return new EdgeortModel(handle);
        } catch (RuntimeException error) {
            Native.close(handle);
            throw error;
        }
    }

    /** What goes in. */
    public List<TensorInfo> inputs() {
        return inputs;
    }

    /** What comes out. Shapes that depend on the inputs are null, or have -1 where a dimension does. */
    public List<TensorInfo> outputs() {
        return outputs;
    }

    /**
     * Runs the model on the thread that calls, and gives its outputs, which are copies.
     *
     * @throws EdgeortException where an input does not fit
     * @throws IllegalStateException where the model is closed
     */
    public List<Tensor> runHere(Tensor... given) {
        synchronized (lock) {
            if (handle == 0) {
                throw closed();
            }
            if (given.length != inputs.size()) {
                throw EdgeortException.invalid("the model has " + inputs.size() + " inputs, not " + given.length);
            }
            held = given.clone();
            try {
                for (int i = 0; i < held.length; ++i) {
                    check(Native.setInput(handle, i, held[i].type.code(), held[i].shape, held[i].data));
                }
                check(Native.run(handle));
                return results();
            } finally {
                held = null;
            }
        }
    }

    /** The same for a model that takes one picture, uint8 of [height, width, 3]. */
    public List<Tensor> runHere(Bitmap picture) {
        return runHere(pictureOf(picture));
    }

    /** The same on a thread of the model's own. */
    public CompletableFuture<List<Tensor>> runAsync(Tensor... given) {
        return later(() -> runHere(given));
    }

    /** The same; the picture stays as it is until the run has ended. */
    public CompletableFuture<List<Tensor>> runAsync(Bitmap picture) {
        return later(() -> runHere(picture));
    }

    private CompletableFuture<List<Tensor>> later(Callable<List<Tensor>> work) {
        CompletableFuture<List<Tensor>> future = new CompletableFuture<>();
        try {
            worker.execute(() -> {
                try {
                    future.complete(work.call());
                } catch (Throwable error) {
                    future.completeExceptionally(error);
                }
            });
        } catch (RejectedExecutionException error) {
            future.completeExceptionally(closed());
        }
        return future;
    }

    /** The picture as the model's one input. EdgeortException where that is none. */
    private Tensor pictureOf(Bitmap picture) {
        TensorInfo info = inputs.get(0);
        long[] shape = info.shape();
        int rank = shape == null ? 0 : shape.length;
        boolean isPicture = info.type() == ElementType.UINT8 && (rank == 3 || rank == 4) && shape[rank - 1] == 3;
        if (inputs.size() != 1 || !isPicture) {
            throw EdgeortException.invalid("the model takes " + inputs + ", not a picture, uint8 [height, width, 3]");
        }
        return Tensor.of(picture).withRank(rank);
    }

    /** Frees the model; a run that is going on ends first. Closing twice is allowed. */
    @Override
    public void close() {
        worker.shutdown();
        synchronized (lock) {
            if (handle != 0) {
                Native.close(handle);
                handle = 0;
            }
        }
    }

    private static IllegalStateException closed() {
        return new IllegalStateException("the model is closed");
    }

    private List<TensorInfo> describe(boolean output) {
        List<TensorInfo> found = new ArrayList<>();
        for (int i = 0; i < Native.count(handle, output); ++i) {
            found.add(TensorInfo.of(Native.name(handle, output, i), Native.form(handle, output, i)));
        }
        return Collections.unmodifiableList(found);
    }

    private void check(int status) {
        if (status != 0) {
            throw EdgeortException.of(status, new String(Native.error(handle), StandardCharsets.UTF_8));
        }
    }

    private List<Tensor> results() {
        List<Tensor> found = new ArrayList<>();
        for (int i = 0; i < outputs.size(); ++i) {
            TensorInfo info = TensorInfo.of(new byte[0], Native.form(handle, true, i));
            found.add(new Tensor(info.type(), info.shape(), info.type() == ElementType.STRING ? texts(i) : numbers(i)));
        }
        return found;
    }

    private ByteBuffer numbers(int output) {
        ByteBuffer ours = Native.output(handle, output);
        ByteBuffer copy = Tensor.allocate(ours == null ? 0 : ours.capacity());
        if (ours != null) {
            copy.put(ours);
        }
        copy.rewind();
        return copy;
    }

    private ByteBuffer texts(int output) {
        ByteBuffer copy = Tensor.allocate(Native.textBytes(handle, output));
        Native.copyTexts(handle, output, copy);
        return copy;
    }
}
