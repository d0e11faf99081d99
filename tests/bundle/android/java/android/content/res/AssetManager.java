package android.content.res;

import android.os.ParcelFileDescriptor;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;

public class AssetManager {
    private final File file;
    private final long offset;
    private final long length;

    public AssetManager(File file, long offset, long length) {
        this.file = file;
        this.offset = offset;
        this.length = length;
    }

    public AssetFileDescriptor openFd(String name) throws IOException {
        if (!name.endsWith(".plan")) {
            throw new FileNotFoundException(name);
        }
        return new AssetFileDescriptor(ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY), offset, length);
    }
}
