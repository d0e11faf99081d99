package edgeort.model;

/** What was wrong with a plan, an input or a run. The model can be used again. */
public final class EdgeortException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** With that reason. */
    public EdgeortException(String reason) {
        super(reason);
    }
}
