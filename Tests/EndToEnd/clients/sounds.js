// Records the tones that a page plays, and whether a person has been active in it.
//
// To evaluate code in a page is a gesture in it, for Chromium; only clicks of the mouse count here.

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
