// Records the tones that a page plays, and whether a user has been active in it.
//
// Chromium counts evaluated code as a user gesture, so here only mouse clicks count.

window.tones = [];
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...at) {
  tones.push(Math.round(this.frequency.value));
  start.apply(this, at);
};
window.hasBeenActive = false;
addEventListener('click', () => {
  hasBeenActive = true;
});
Object.defineProperty(navigator, 'userActivation', { get: () => ({ hasBeenActive }) });
