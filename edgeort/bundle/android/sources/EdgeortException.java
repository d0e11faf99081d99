package edgeort.model;

/** What was wrong with a plan, an input or a run. The model can be used again. */
public final class EdgeortException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** What an app can do something about: edgeort_status of edgeort.h, from 1 on. */
    public enum Status {
        /** The model cannot be opened, or run on these inputs. */
        FAILED,
        /** Activations need more memory than the plan was built for: give a smaller input. */
        OVER_RAM_LIMIT,
        /** The call is wrong: an element type, a shape, an input that was not given. */
        INVALID_ARGUMENT,
        /** The system has no more memory now. */
        OUT_OF_MEMORY
    }

    private final Status status;

    /** Of a failure, with that reason. */
    public EdgeortException(String reason) {
        this(Status.FAILED, reason);
    }

    private EdgeortException(Status status, String reason) {
        super(reason);
        this.status = status;
    }

    static EdgeortException invalid(String reason) {
        return new EdgeortException(Status.INVALID_ARGUMENT, reason);
    }

    static EdgeortException of(int status, String reason) {
        Status[] known = Status.values();
        return new EdgeortException(status <= known.length ? known[status - 1] : Status.FAILED, reason);
    }

    /** What kind of failure it is. */
    public Status status() {
        return status;
    }
}
