package android.content;

import android.content.res.AssetManager;
import java.io.File;

/** An app whose assets are parts of files. */
public class Context {
    private final AssetManager assets;

    public Context(File file, long offset, long length) {
        assets = new AssetManager(file, offset, length);
    }

    public AssetManager getAssets() {
        return assets;
    }
}
