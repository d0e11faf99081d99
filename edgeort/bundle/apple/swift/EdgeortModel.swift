import Foundation

/// What runs a model: the runtime with its plan, or Core ML.
protocol EdgeortEngine: AnyObject {
  var inputs: [EdgeortValue] { get }
  var outputs: [EdgeortValue] { get }
  func run(_ inputs: [String: EdgeortTensor]) throws -> [String: EdgeortTensor]
}

/// An open model. It may be used from several threads; runs then take turns. For runs side by side open it several times:
/// the weights are mapped, and shared.
///
///     let model = try EdgeortModel(named: "digits")
///     let outputs = try await model.run(["image": EdgeortTensor(pixels, shape: [1, 1, 8, 8])])
///     let logits = try outputs["logits"]!.values(as: Float.self)
public final class EdgeortModel: @unchecked Sendable {
  private let engine: EdgeortEngine
  private let turn = NSLock()
  private let queue = DispatchQueue(label: "edgeort.model", qos: .userInitiated)

  /// Opens a model of this package; `EdgeortModel.names` has them all. `threads` 0 is what the bundle was built for.
  public convenience init(named name: String, threads: Int = 0) throws {
    try self.init(engine: EdgeortModel.open(name, threads: threads))
  }

  init(engine: EdgeortEngine) {
    self.engine = engine
  }

  public var inputs: [EdgeortValue] { engine.inputs }
  /// While another thread's run goes on, it waits: what a run makes changes their shapes.
  public var outputs: [EdgeortValue] {
    turn.lock()
    defer { turn.unlock() }
    return engine.outputs
  }

  /// The outputs by name for a tensor of each input. It takes the calling thread for as long as the model runs.
  public func run(_ inputs: [String: EdgeortTensor]) throws -> [String: EdgeortTensor] {
    turn.lock()
    defer { turn.unlock() }
    let names = Set(engine.inputs.map(\.name))
    guard names == Set(inputs.keys) else {
      throw EdgeortError.input("the inputs are \(names.sorted()), not \(inputs.keys.sorted())")
    }
    return try engine.run(inputs)
  }

  /// The same beside the caller, whose thread is free meanwhile.
  public func run(_ inputs: [String: EdgeortTensor]) async throws -> [String: EdgeortTensor] {
    try await withCheckedThrowingContinuation { done in
      queue.async {
        done.resume(with: Result { () throws -> [String: EdgeortTensor] in try self.run(inputs) })
      }
    }
  }
}
