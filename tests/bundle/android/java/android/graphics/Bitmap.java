package android.graphics;

public class Bitmap {
    private final int width;
    private final int height;
    private final int[] pixels;

    public Bitmap(int width, int[] pixels) {
        this(width, pixels.length / width, pixels);
    }

    public Bitmap(int width, int height, int[] pixels) {
        this.width = width;
        this.height = height;
        this.pixels = pixels;
    }

    public int getWidth() {
        return width;
    }

    public int getHeight() {
        return height;
    }

    public void getPixels(int[] to, int offset, int stride, int x, int y, int width, int height) {
        for (int row = 0; row < height; ++row) {
            System.arraycopy(pixels, (y + row) * this.width + x, to, offset + row * stride, width);
        }
    }
}
