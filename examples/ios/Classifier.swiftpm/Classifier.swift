import CoreGraphics
import Edgeort_classifier
import Foundation
import UIKit

/// The model of the package: classes of a picture. It takes float32 [1, 3, h, w], (x - 127) / 128 of the middle square, as
/// examples/efficientnet_lite0.py exports it; other models want other numbers here.
struct Classifier {
  struct Answer: Identifiable {
    let id: Int
    let share: Double
  }

  private let model: EdgeortModel
  private let input: EdgeortValue
  private let side: (height: Int, width: Int)

  init() throws {
    model = try EdgeortModel(named: EdgeortModel.names[0])
    guard let input = model.inputs.first, let shape = input.shape, shape.count == 4, shape[1] == 3, shape[2] > 0, shape[3] > 0
    else { throw EdgeortError.model("the model takes no picture: float32 [1, 3, h, w]") }
    self.input = input
    side = (shape[2], shape[3])
  }

  /// The best classes of a photograph, the surest first.
  func classify(_ photo: UIImage, top: Int = 5) async throws -> [Answer] {
    let outputs = try await model.run([input.name: picture(photo)])
    guard let values = try outputs[model.outputs[0].name]?.values(as: Float.self), let most = values.max() else { return [] }
    let powers = values.map { exp(Double($0 - most)) }
    let sum = powers.reduce(0, +)
    let best = powers.indices.sorted { powers[$0] > powers[$1] }.prefix(top)
    return best.map { Answer(id: $0, share: powers[$0] / sum) }
  }

  /// Draws the middle square at the model's size, upright, and brings it to the model's numbers, channel by channel.
  private func picture(_ photo: UIImage) throws -> EdgeortTensor {
    let size = CGSize(width: side.width, height: side.height)
    let format = UIGraphicsImageRendererFormat()
    format.scale = 1
    let drawn = UIGraphicsImageRenderer(size: size, format: format).image { _ in
      let scale = max(size.width / photo.size.width, size.height / photo.size.height)
      let whole = CGSize(width: photo.size.width * scale, height: photo.size.height * scale)
      let origin = CGPoint(x: (size.width - whole.width) / 2, y: (size.height - whole.height) / 2)
      photo.draw(in: CGRect(origin: origin, size: whole))
    }
    guard let image = drawn.cgImage else { throw EdgeortError.input("the photograph cannot be drawn") }
    let pixels = try EdgeortTensor(image: image).values(as: UInt8.self)
    let count = side.height * side.width
    var planes = [Float](repeating: 0, count: 3 * count)
    for channel in 0..<3 {
      for index in 0..<count { planes[channel * count + index] = (Float(pixels[4 * index + channel]) - 127) / 128 }
    }
    return try EdgeortTensor(planes, shape: [1, 3, side.height, side.width])
  }
}
